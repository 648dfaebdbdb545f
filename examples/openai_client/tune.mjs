// The same by OpenAI's JavaScript client: npm install openai, then node tune.mjs [MODEL]
import fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI from "openai";

const model = process.argv[2] ?? "smollm2-135m";
const client = new OpenAI(); // reads OPENAI_BASE_URL and OPENAI_API_KEY

const [input, reference] = ["{{sample.output_text}}", "{{item.answer}}"];
const grader = {
  type: "multi",
  name: "opening",
  graders: {
    exact: { type: "string_check", name: "exact", operation: "eq", input, reference },
    near: { type: "text_similarity", name: "near", evaluation_metric: "fuzzy_match", input, reference },
  },
  calculate_output: "0.5 * exact + 0.5 * near",
};
const item = JSON.parse(fs.readFileSync("train.jsonl", "utf8").split("\n")[0]);
await client.fineTuning.alpha.graders.validate({ grader });
const tried = await client.fineTuning.alpha.graders.run({
  grader,
  item,
  model_sample: item.answer,
});
console.log(`The reference answer earns ${tried.reward.toFixed(2)}.`);

const upload = async (name) =>
  (await client.files.create({ file: fs.createReadStream(`${name}.jsonl`), purpose: "fine-tune" })).id;
let job = await client.fineTuning.jobs.create({
  model,
  training_file: await upload("train"),
  validation_file: await upload("validation"),
  suffix: "opening-js",
  seed: 1,
  method: {
    type: "reinforcement",
    reinforcement: {
      grader,
      hyperparameters: { n_epochs: 1, batch_size: 8, compute_multiplier: 0.5, eval_interval: 10 },
    },
  },
});
console.log(`Job ${job.id}`);
while (!["succeeded", "failed", "cancelled"].includes(job.status)) {
  await sleep(1000);
  job = await client.fineTuning.jobs.retrieve(job.id);
}
for (const event of (await client.fineTuning.jobs.listEvents(job.id, { limit: 50 })).data.reverse()) {
  console.log(`  ${event.message}`);
}
if (job.status !== "succeeded") throw new Error(`The job ${job.status}: ${job.error?.message}`);

for await (const checkpoint of client.fineTuning.jobs.checkpoints.list(job.id)) {
  console.log(`Checkpoint after step ${checkpoint.step_number}: ${checkpoint.fine_tuned_model_checkpoint}`);
}
const answer = await client.chat.completions.create({
  model: job.fine_tuned_model,
  messages: item.messages,
  temperature: 0,
  max_tokens: 64,
});
console.log(`${job.fine_tuned_model}: ${JSON.stringify(answer.choices[0].message.content)}`);
