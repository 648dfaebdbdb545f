/** Code that calls a model of this server, to be copied. Keys stand in variables, never in the text. */

export type Dialect = "openai" | "boto3" | "curl";

export interface Callee {
  /** What the OpenAI API takes as `model`. */
  name: string;
  /** ARN of a deployment or of the model. */
  arn: string;
  /** Address of the server, without a slash at the end. */
  server: string;
  region: string;
}

/** A text in quotes, as Python and JSON both read it. */
function quoted(text: string): string {
  return JSON.stringify(text);
}

/** A text as a word of a shell. */
function word(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

const QUESTION = "Hello";

function openai({ name, server }: Callee): string {
  return `import os

from openai import OpenAI

client = OpenAI(base_url=${quoted(`${server}/v1`)}, api_key=os.environ["TUNEWARD_API_KEY"])
answer = client.chat.completions.create(
    model=${quoted(name)},
    messages=[{"role": "user", "content": ${quoted(QUESTION)}}],
    max_completion_tokens=200,
)
print(answer.choices[0].message.content)
`;
}

function boto3({ arn, server, region }: Callee): string {
  return `import boto3

# Signs with an access key of this server: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
client = boto3.client("bedrock-runtime", endpoint_url=${quoted(server)}, region_name=${quoted(region)})
answer = client.converse(
    modelId=${quoted(arn)},
    messages=[{"role": "user", "content": [{"text": ${quoted(QUESTION)}}]}],
    inferenceConfig={"maxTokens": 200},
)
print(answer["output"]["message"]["content"][0]["text"])
`;
}

function curl({ name, server }: Callee): string {
  const body = { model: name, messages: [{ role: "user", content: QUESTION }], max_completion_tokens: 200 };
  return `curl ${word(`${server}/v1/chat/completions`)} \\
  -H "Authorization: Bearer $TUNEWARD_API_KEY" \\
  -H 'Content-Type: application/json' \\
  -d ${word(JSON.stringify(body))}
`;
}

export function codeFor(dialect: Dialect, callee: Callee): string {
  return { openai, boto3, curl }[dialect](callee);
}
