"""From rows to a tuned model by OpenAI's own client, which is told nothing but another base URL."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from openai import OpenAI

MODEL = sys.argv[1] if len(sys.argv) > 1 else "smollm2-135m"

client = OpenAI()  # reads OPENAI_BASE_URL and OPENAI_API_KEY

# Nearly right earns something, so that there is a way up; exactly right earns the other half.
output, answer = "{{sample.output_text}}", "{{item.answer}}"
grader = {
    "type": "multi",
    "name": "opening",
    "graders": {
        "exact": {"type": "string_check", "name": "exact", "operation": "eq", "input": output, "reference": answer},
        "near": {
            "type": "text_similarity",
            "name": "near",
            "evaluation_metric": "fuzzy_match",
            "input": output,
            "reference": answer,
        },
    },
    "calculate_output": "0.5 * exact + 0.5 * near",
}
item = json.loads(Path("train.jsonl").read_text(encoding="utf-8").splitlines()[0])
client.fine_tuning.alpha.graders.validate(grader=grader)
tried = client.fine_tuning.alpha.graders.run(grader=grader, item=item, model_sample=item["answer"])
print(f"The reference answer earns {tried.reward:.2f}.")

files = {}
for name in ("train", "validation"):
    with Path(f"{name}.jsonl").open("rb") as content:
        files[name] = client.files.create(file=content, purpose="fine-tune").id

job = client.fine_tuning.jobs.create(
    model=MODEL,
    training_file=files["train"],
    validation_file=files["validation"],
    suffix="opening",
    seed=1,
    method={
        "type": "reinforcement",
        "reinforcement": {
            "grader": grader,
            "hyperparameters": {"n_epochs": 1, "batch_size": 8, "compute_multiplier": 0.5, "eval_interval": 10},
        },
    },
)
print(f"Job {job.id}")

seen: set[str] = set()
while True:
    job = client.fine_tuning.jobs.retrieve(job.id)
    for event in reversed(list(client.fine_tuning.jobs.list_events(job.id, limit=50))):
        if event.id not in seen:
            seen.add(event.id)
            print(f"  {event.message}")
    if job.status in ("succeeded", "failed", "cancelled"):
        break
    time.sleep(1)
if job.status != "succeeded":
    sys.exit(f"The job {job.status}: {job.error and job.error.message}")

for checkpoint in client.fine_tuning.jobs.checkpoints.list(job.id):
    print(f"Checkpoint after step {checkpoint.step_number}: {checkpoint.fine_tuned_model_checkpoint}")
(results,) = job.result_files
print(client.files.content(results).text.splitlines()[0])

question = item["messages"]
for model in (MODEL, job.fine_tuned_model):
    answer = client.chat.completions.create(model=model, messages=question, temperature=0, max_tokens=64)
    print(f"{model}: {answer.choices[0].message.content!r}")
