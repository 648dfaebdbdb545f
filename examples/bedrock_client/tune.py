"""From rows in S3 to a deployed model by boto3, which is told nothing but other endpoints."""

from __future__ import annotations

import io
import json
import sys
import time
import zipfile
from pathlib import Path

import boto3

MODEL = sys.argv[1] if len(sys.argv) > 1 else "smollm2-135m"
NAME = f"opening-{int(time.time())}"
BUCKET = "tuneward-example"
ROLE = "arn:aws:iam::123456789012:role/fine-tuning"  # the form asks for one; nothing is assumed here

# Endpoints, region and keys come from the environment, as always: AWS_ENDPOINT_URL_BEDROCK and so on.
s3, functions = boto3.client("s3"), boto3.client("lambda")
bedrock, runtime = boto3.client("bedrock"), boto3.client("bedrock-runtime")

if BUCKET not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
    s3.create_bucket(Bucket=BUCKET)
for name in ("train", "validation"):
    s3.put_object(Bucket=BUCKET, Key=f"data/{name}.jsonl", Body=Path(f"{name}.jsonl").read_bytes())

archive = io.BytesIO()
with zipfile.ZipFile(archive, "w") as code:
    code.write("reward.py")
function = functions.create_function(
    FunctionName=NAME,
    Runtime="python3.12",
    Role=ROLE,
    Handler="reward.lambda_handler",
    Timeout=30,
    Code={"ZipFile": archive.getvalue()},
)
functions.get_waiter("function_active_v2").wait(FunctionName=NAME)

job = bedrock.create_model_customization_job(
    jobName=NAME,
    customModelName=f"{NAME}-model",
    roleArn=ROLE,
    baseModelIdentifier=MODEL,
    customizationType="REINFORCEMENT_FINE_TUNING",
    trainingDataConfig={"s3Uri": f"s3://{BUCKET}/data/train.jsonl"},
    validationDataConfig={"validators": [{"s3Uri": f"s3://{BUCKET}/data/validation.jsonl"}]},
    outputDataConfig={"s3Uri": f"s3://{BUCKET}/output"},
    customizationConfig={
        "rftConfig": {
            "graderConfig": {"lambdaGrader": {"lambdaArn": function["FunctionArn"]}},
            "hyperParameters": {
                "epochCount": 1,
                "batchSize": 16,
                "learningRate": 1e-4,
                "trainingSamplePerPrompt": 4,
                "maxPromptLength": 160,
                "inferenceMaxTokens": 48,
            },
        }
    },
)["jobArn"]
print(f"Job {job}")

while True:
    state = bedrock.get_model_customization_job(jobIdentifier=job)
    if state["status"] not in ("InProgress", "Stopping"):
        break
    time.sleep(1)
if state["status"] != "Completed":
    sys.exit(f"The job {state['status']}: {state.get('failureMessage')}")

folder = f"output/model-customization-job-{job.rsplit('/', 1)[1]}"
metrics = s3.get_object(Bucket=BUCKET, Key=f"{folder}/training_artifacts/step_wise_training_metrics.csv")
print(metrics["Body"].read().decode().splitlines()[0])

deployment = bedrock.create_custom_model_deployment(
    modelDeploymentName=f"{NAME}-deployment", modelArn=state["outputModelArn"]
)["customModelDeploymentArn"]
while bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=deployment)["status"] == "Creating":
    time.sleep(1)

row = json.loads(Path("validation.jsonl").read_text(encoding="utf-8").splitlines()[0])
task, question = row["messages"]
for model in (MODEL, deployment):
    answer = runtime.converse(
        modelId=model,
        system=[{"text": task["content"]}],
        messages=[{"role": "user", "content": [{"text": question["content"]}]}],
        inferenceConfig={"maxTokens": 48, "temperature": 0},
    )
    print(f"{model}: {answer['output']['message']['content'][0]['text']!r}")
