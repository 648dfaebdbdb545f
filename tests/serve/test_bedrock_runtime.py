"""Bedrock's runtime, called with unmodified boto3."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jsonschema
import openai
import pytest
from botocore.exceptions import ClientError
from tests.serve.bedrock import joined, runtime_client, said

from tuneward.serve.catalog import FixedCatalog

HELLO = [said("Hello")]
NAMES = ["owner/tiny", "tuned-0", "tuned-1", "tuned-2"]
GREEDY = {"temperature": 0, "maxTokens": 8}


@pytest.fixture(scope="module")
def bedrock(url: str) -> Any:
    return runtime_client(url)


def chat_text(client: openai.OpenAI, model: str, **options: Any) -> str:
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello"}], **options)
    return answer.choices[0].message.content or ""


def test_converse_answers_what_chat_completions_answers_for_every_adapter(bedrock: Any, client: openai.OpenAI) -> None:
    answers = {}
    for name in NAMES:
        answer = bedrock.converse(modelId=name, messages=HELLO, inferenceConfig=GREEDY)
        answers[name] = answer["output"]["message"]["content"][0]["text"]
        assert answers[name] == chat_text(client, name, temperature=0, max_tokens=8)
        drawn = bedrock.converse(
            modelId=name,
            messages=HELLO,
            inferenceConfig={"maxTokens": 8},
            additionalModelRequestFields={"seed": 3},
        )
        assert drawn["output"]["message"]["content"][0]["text"] == chat_text(client, name, seed=3, max_tokens=8)
    assert len(set(answers.values())) == 4


def test_an_answer_has_everything_that_the_contract_names(bedrock: Any) -> None:
    answer = bedrock.converse(modelId="tuned-0", messages=HELLO, inferenceConfig=GREEDY)
    assert answer["output"]["message"]["role"] == "assistant"
    assert answer["stopReason"] in ("max_tokens", "end_turn")
    usage = answer["usage"]
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]
    assert usage["outputTokens"] <= 8
    assert answer["metrics"]["latencyMs"] >= 0
    assert answer["ResponseMetadata"]["RequestId"].startswith("req_")


def test_a_stream_says_in_events_what_converse_says_at_once(bedrock: Any) -> None:
    for name in NAMES:
        asked: dict[str, Any] = {"modelId": name, "messages": HELLO, "inferenceConfig": GREEDY}
        whole = bedrock.converse(**asked)
        streamed = joined(bedrock.converse_stream(**asked)["stream"])
        assert streamed["texts"] == {0: whole["output"]["message"]["content"][0]["text"]}
        assert streamed["stopReason"] == whole["stopReason"]
        assert streamed["usage"]["outputTokens"] == whole["usage"]["outputTokens"]


def test_thirty_two_streams_at_once_never_answer_for_each_other(bedrock: Any) -> None:
    asked = [{"modelId": name, "messages": HELLO, "inferenceConfig": GREEDY} for name in NAMES]
    whole = [bedrock.converse(**one)["output"]["message"]["content"][0]["text"] for one in asked]
    with ThreadPoolExecutor(32) as pool:
        got = list(pool.map(lambda n: joined(bedrock.converse_stream(**asked[n % 4])["stream"])["texts"][0], range(32)))
    assert got == [whole[n % 4] for n in range(32)]


def test_systems_and_blocks_of_text_reach_the_template(bedrock: Any, client: openai.OpenAI) -> None:
    answer = bedrock.converse(
        modelId="owner/tiny",
        system=[{"text": "Be brief."}, {"cachePoint": {"type": "default"}}],
        messages=[{"role": "user", "content": [{"text": "Hel"}, {"text": "lo"}]}],
        inferenceConfig=GREEDY,
    )
    messages: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    expected = client.chat.completions.create(model="owner/tiny", messages=messages, temperature=0, max_tokens=8)
    assert answer["output"]["message"]["content"] == [{"text": expected.choices[0].message.content}]
    assert answer["usage"]["inputTokens"] == expected.usage.prompt_tokens  # type: ignore[union-attr]


def test_a_stop_sequence_ends_the_answer_and_is_named(bedrock: Any) -> None:
    def ask(**config: Any) -> Any:
        return bedrock.converse(
            modelId="tuned-1",
            messages=HELLO,
            inferenceConfig={"temperature": 0, "maxTokens": 20} | config,
            additionalModelResponseFieldPaths=["/stop_sequence", "/version", "/other"],
        )

    whole = ask()
    text = whole["output"]["message"]["content"][0]["text"]
    assert whole["additionalModelResponseFields"]["stop_sequence"] is None
    stopped = ask(stopSequences=["never to be seen", text[4:6]])
    assert stopped["stopReason"] == "stop_sequence"
    assert stopped["output"]["message"]["content"][0]["text"] == text[: text.find(text[4:6])]
    assert stopped["additionalModelResponseFields"]["stop_sequence"] == text[4:6]
    assert set(stopped["additionalModelResponseFields"]) == {"stop_sequence", "version"}


def test_why_an_answer_ended_is_said(bedrock: Any, catalog: FixedCatalog) -> None:
    def ask(text: str, **config: Any) -> Any:
        return bedrock.converse(modelId="tuned-1", messages=[said(text)], inferenceConfig={"temperature": 0} | config)

    served = catalog.get("tuned-1")
    assert served is not None
    assert ask("Hello", maxTokens=2)["stopReason"] == "max_tokens"
    beside = ask("", maxTokens=1)["usage"]["inputTokens"]
    full = ask("x" * (served.engine.limits.context - beside - 3), maxTokens=200)
    assert full["stopReason"] == "model_context_window_exceeded"
    assert full["usage"]["outputTokens"] == 3


def test_only_the_likeliest_tokens_come_when_so_few_are_asked_for(bedrock: Any) -> None:
    def ask(seed: int, **fields: Any) -> str:
        answer = bedrock.converse(
            modelId="tuned-1",
            messages=HELLO,
            inferenceConfig={"maxTokens": 8},
            additionalModelRequestFields={"seed": seed} | fields,
        )
        return str(answer["output"]["message"]["content"][0]["text"])

    greedy = bedrock.converse(modelId="tuned-1", messages=HELLO, inferenceConfig=GREEDY)
    assert {ask(seed, top_k=1) for seed in range(3)} == {greedy["output"]["message"]["content"][0]["text"]}
    assert len({ask(seed, inferenceConfig={"topK": 50}) for seed in range(3)}) == 3


TOOLS = [
    {"toolSpec": {"name": "add", "inputSchema": {"json": {"type": "object", "properties": {"a": {"enum": [1, 2]}}}}}},
    {
        "toolSpec": {
            "name": "look_up",
            "description": "Looks a word up.",
            "inputSchema": {
                "json": {
                    "type": "object",
                    "properties": {"word": {"$ref": "#/$defs/word"}},
                    "required": ["word"],
                    "additionalProperties": False,
                    "$defs": {"word": {"enum": ["sun", "moon"]}},
                }
            },
        }
    },
]


def test_a_tool_that_must_be_used_is_used_and_its_result_goes_back(bedrock: Any) -> None:
    asked: dict[str, Any] = {
        "modelId": "tuned-2",
        "messages": HELLO,
        "toolConfig": {"tools": TOOLS, "toolChoice": {"tool": {"name": "look_up"}}},
        "inferenceConfig": {"maxTokens": 100, "temperature": 0},
    }
    answer = bedrock.converse(**asked)
    assert answer["stopReason"] == "tool_use"
    (block,) = answer["output"]["message"]["content"]
    assert block["toolUse"]["name"] == "look_up"
    assert block["toolUse"]["input"]["word"] in ("sun", "moon")
    streamed = joined(bedrock.converse_stream(**asked)["stream"])
    assert streamed["stopReason"] == "tool_use"
    assert streamed["starts"][0]["name"] == "look_up"
    assert json.loads(streamed["inputs"][0]) == block["toolUse"]["input"]
    result = {"toolResult": {"toolUseId": block["toolUse"]["toolUseId"], "content": [{"json": {"is": "bright"}}]}}
    more = [*HELLO, answer["output"]["message"], {"role": "user", "content": [result]}]
    assert bedrock.converse(modelId="tuned-2", messages=more, inferenceConfig={"maxTokens": 2})["stopReason"]


def test_any_tool_is_one_of_them_and_auto_leaves_text_alone(bedrock: Any) -> None:
    names = set()
    for seed in range(6):
        answer = bedrock.converse(
            modelId="owner/tiny",
            messages=HELLO,
            toolConfig={"tools": TOOLS, "toolChoice": {"any": {}}},
            inferenceConfig={"maxTokens": 120},
            additionalModelRequestFields={"seed": seed},
        )
        names |= {block["toolUse"]["name"] for block in answer["output"]["message"]["content"]}
    assert names <= {"add", "look_up"}
    free = bedrock.converse(modelId="tuned-0", messages=HELLO, toolConfig={"tools": TOOLS}, inferenceConfig=GREEDY)
    assert [*free["output"]["message"]["content"][0]] == ["text"]


SCHEMA = {"type": "object", "properties": {"score": {"enum": [0, 1]}}, "required": ["score"]} | {
    "additionalProperties": False
}


def text_format(schema: str) -> dict[str, Any]:
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": schema, "name": "s"}}}}


def test_answers_are_held_to_a_schema(bedrock: Any) -> None:
    answer = bedrock.converse(
        modelId="tuned-0",
        messages=HELLO,
        outputConfig=text_format(json.dumps(SCHEMA)),
        inferenceConfig={"maxTokens": 60},
    )
    assert answer["stopReason"] == "end_turn"
    jsonschema.validate(json.loads(answer["output"]["message"]["content"][0]["text"]), SCHEMA)


def test_tokens_are_counted_as_the_model_reads_them(bedrock: Any) -> None:
    converse = {"messages": HELLO, "system": [{"text": "Be brief."}]}
    counted = bedrock.count_tokens(modelId="tuned-0", input={"converse": converse})["inputTokens"]
    assert counted == bedrock.converse(modelId="tuned-0", inferenceConfig=GREEDY, **converse)["usage"]["inputTokens"]
    body = json.dumps({"messages": [{"role": "user", "content": "Hello"}]}).encode()
    plain = bedrock.count_tokens(modelId="tuned-0", input={"invokeModel": {"body": body}})["inputTokens"]
    assert plain < counted


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            {"messages": [{"role": "user", "content": [{"image": {"format": "png", "source": {"bytes": b"x"}}}]}]},
            "image",
        ),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": [{"text": "x"}]}]}, "role"),
        ({"messages": [said("x" * 300)]}, "256|255"),
        ({"inferenceConfig": {"temperature": 1.5}}, "temperature"),
        ({"inferenceConfig": {"topP": 1.5}}, "topP"),
        ({"inferenceConfig": {"maxTokens": 2**40}}, "maxTokens"),
        ({"inferenceConfig": {"stopSequences": ["x"] * 2501}}, "stopSequences"),
        ({"requestMetadata": {str(n): "x" for n in range(17)}}, "requestMetadata"),
        ({"requestMetadata": {"a": "ü"}}, "requestMetadata"),
        ({"promptVariables": {"a": {"text": "x"}}}, "promptVariables"),
        ({"guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"}}, "guardrail"),
        ({"outputConfig": text_format("{")}, "not JSON"),
        ({"outputConfig": text_format('{"type": "nothing"}')}, "not a JSON schema"),
        ({"toolConfig": {"tools": TOOLS, "toolChoice": {"tool": {"name": "other"}}}}, "other"),
        ({"toolConfig": {"tools": [TOOLS[0], TOOLS[0]]}}, "two tools"),
        ({"toolConfig": {"tools": [{"toolSpec": {"name": "a b", "inputSchema": {"json": {}}}}]}}, "name"),
        ({"toolConfig": {"tools": [{"systemTool": {"name": "web"}}]}}, "systemTool"),
    ],
)
def test_bad_requests_are_refused_in_aws_words(bedrock: Any, change: dict[str, Any], named: str) -> None:
    for operation in (bedrock.converse, bedrock.converse_stream):
        with pytest.raises(bedrock.exceptions.ValidationException, match=named):
            operation(**({"modelId": "tuned-0", "messages": HELLO} | change))


def test_a_model_that_is_not_there_is_not_found_by_any_operation(bedrock: Any) -> None:
    arn = "arn:aws:bedrock:us-east-1:000000000000:custom-model-deployment/abcdefghijkl"
    body = json.dumps({"messages": [{"role": "user", "content": "Hello"}]})
    for call in (
        lambda: bedrock.converse(modelId=arn, messages=HELLO),
        lambda: bedrock.converse_stream(modelId=arn, messages=HELLO),
        lambda: bedrock.invoke_model(modelId=arn, body=body),
        lambda: bedrock.invoke_model_with_response_stream(modelId=arn, body=body),
        lambda: bedrock.count_tokens(modelId=arn, input={"converse": {"messages": HELLO}}),
    ):
        with pytest.raises(ClientError, match="abcdefghijkl") as refused:
            call()
        assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"
