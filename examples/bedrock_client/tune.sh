#!/usr/bin/env bash
# The same by the aws command line: ./tune.sh [MODEL]
set -euo pipefail
model=${1:-smollm2-135m}
name=opening-cli-$(date +%s)
bucket=tuneward-example
role=arn:aws:iam::123456789012:role/fine-tuning

aws s3api head-bucket --bucket "$bucket" 2>/dev/null || aws s3api create-bucket --bucket "$bucket" >/dev/null
aws s3 cp --quiet train.jsonl "s3://$bucket/data/train.jsonl"

python -m zipfile -c reward.zip reward.py
function=$(aws lambda create-function --function-name "$name" --runtime python3.12 --role "$role" \
    --handler reward.lambda_handler --timeout 30 --zip-file fileb://reward.zip --query FunctionArn --output text)
aws lambda wait function-active-v2 --function-name "$name"

job=$(aws bedrock create-model-customization-job --job-name "$name" --custom-model-name "$name-model" \
    --role-arn "$role" --base-model-identifier "$model" --customization-type REINFORCEMENT_FINE_TUNING \
    --training-data-config "s3Uri=s3://$bucket/data/train.jsonl" --output-data-config "s3Uri=s3://$bucket/output" \
    --customization-config "{\"rftConfig\": {\"graderConfig\": {\"lambdaGrader\": {\"lambdaArn\": \"$function\"}},
        \"hyperParameters\": {\"epochCount\": 1, \"batchSize\": 16, \"trainingSamplePerPrompt\": 2,
        \"maxPromptLength\": 160, \"inferenceMaxTokens\": 32}}}" --query jobArn --output text)
echo "Job $job"

state=InProgress
while [ "$state" = InProgress ]; do
    sleep 1
    state=$(aws bedrock get-model-customization-job --job-identifier "$job" --query status --output text)
done
echo "$state"
[ "$state" = Completed ]

aws s3 cp --quiet "s3://$bucket/output/model-customization-job-${job##*/}/training_artifacts/step_wise_training_metrics.csv" metrics.csv
head -n 1 metrics.csv
arn=$(aws bedrock get-model-customization-job --job-identifier "$job" --query outputModelArn --output text)
deployment=$(aws bedrock create-custom-model-deployment --model-deployment-name "$name-deployment" --model-arn "$arn" \
    --query customModelDeploymentArn --output text)
aws bedrock-runtime converse --model-id "$deployment" --inference-config maxTokens=32,temperature=0 \
    --messages '[{"role": "user", "content": [{"text": "On Friday the library opens at 09:30."}]}]' \
    --query 'output.message.content[0].text' --output text
