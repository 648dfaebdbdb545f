"""A job as a Python script with AWS's client, through Bedrock's API: it takes rows in object storage and a reward that
is a Lambda function, and has words for a few settings. What it has none for, the script says."""

from __future__ import annotations

from typing import Any

from tuneward.jobs.spec import FileSource, Source
from tuneward.rewards.functions.reference import function_arn, parse_reference
from tuneward.serve.bedrock.hyperparameters import (
    reinforcement_config,
    reinforcement_parameters,
    supervised_config,
    supervised_parameters,
)
from tuneward.serve.bedrock.jobs_create import LAMBDA_TIMEOUT_S, REWARD_RETRIES
from tuneward.serve.bedrock.jobs_request import ReinforcementHyperParameters
from tuneward.serve.bedrock.sources import training_data
from tuneward.serve.job_code.facts import (
    TRAIN,
    VALIDATION,
    Code,
    JobFacts,
    commented,
    literal,
    parsed,
    place_of,
    plain_name,
)

LARGEST = {"epochCount": 50, "batchSize": 512, "learningRate": 1e-3, "trainingSamplePerPrompt": 16, "evalInterval": 100}
SMALLEST = {"epochCount": 1, "batchSize": 16, "learningRate": 1e-7, "trainingSamplePerPrompt": 2, "evalInterval": 1}
"""Source: Bedrock RFT contract, 5.1."""
BUCKET = 'os.environ["BUCKET"]'
FUNCTION = 'os.environ["REWARD_FUNCTION_ARN"]'


def boto3_script(facts: JobFacts) -> str:
    """Brings the rows into a bucket, where they are not in one, and creates the job."""
    spec = facts.spec
    notes = ["Starts the job with AWS's client: pip install boto3", *_keys_note()]
    files = []
    bucket = ""
    for source, name in ((spec.training, TRAIN), (facts.validation, VALIDATION)):
        if isinstance(source, FileSource):
            files.append(f's3.upload_file("{name}", bucket, "{name}")  # {place_of(source)}\n')
    if files or spec.output_uri is None:
        bucket = f"bucket = {BUCKET}  # that this server may read and write\n"
    body: dict[str, Any] = {
        "jobName": facts.name or Code('f"job-{int(time.time())}"'),
        "customModelName": plain_name(spec.suffix or facts.name or "", "tuned-model")
        if spec.suffix or facts.name
        else Code('f"model-{int(time.time())}"'),
        "roleArn": f"arn:aws:iam::{facts.account_id}:role/tuneward",
        "baseModelIdentifier": facts.managed_model,
        "customizationType": "FINE_TUNING" if spec.method == "supervised" else "REINFORCEMENT_FINE_TUNING",
        "trainingDataConfig": _training(spec.training),
    }
    if facts.validation is not None:
        body["validationDataConfig"] = {"validators": [{"s3Uri": _address(facts.validation, VALIDATION)}]}
    body["outputDataConfig"] = {"s3Uri": spec.output_uri or Code('f"s3://{bucket}/results/"')}
    settings, unsaid = _settings(facts)
    if spec.method == "supervised":
        body["hyperParameters"] = settings
    else:
        function, about = _function(facts)
        notes += about
        body["customizationConfig"] = {
            "rftConfig": {"graderConfig": {"lambdaGrader": {"lambdaArn": function}}, "hyperParameters": settings}
        }
    if spec.response_format is not None:
        unsaid.append("response_format: answers would not be asked for in a form")
    if facts.metadata:
        unsaid.append(f"metadata {', '.join(facts.metadata)}")
    if unsaid:
        notes.append("This API has no words for some settings of this job. With it, they would be:")
        notes += [f"- {line}" for line in unsaid]
    uses_time = any(isinstance(body[name], Code) for name in ("jobName", "customModelName"))
    imports = "import os\n" + ("import time\n" if uses_time else "")
    upload = f's3 = boto3.client("s3", region_name={literal(facts.region)})\n' + "".join(files) + "\n" if files else ""
    arguments = "\n    ".join(f"{name}={literal(value)}," for name, value in body.items())
    return (
        f"{commented(*notes)}{imports if bucket or uses_time or FUNCTION in arguments else ''}\nimport boto3\n\n"
        f"{bucket}{upload}"
        f'bedrock = boto3.client("bedrock", endpoint_url={literal(facts.url)}, region_name={literal(facts.region)})\n'
        f"job = bedrock.create_model_customization_job(\n    {arguments}\n)\n"
        'print(job["jobArn"])\n'
    )


def _keys_note() -> list[str]:
    return [
        "Keys: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of `tuneward keys create NAME --access-key`.",
        "Object storage may have others of its own; see AWS_ENDPOINT_URL_S3 and profiles of boto3.",
    ]


def _training(source: Source) -> dict[str, Any]:
    return {"s3Uri": _address(source, TRAIN)} if isinstance(source, FileSource) else training_data(source)


def _address(source: Source, name: str) -> str | Code:
    return Code(f'f"s3://{{bucket}}/{name}"') if isinstance(source, FileSource) else source.uri


def _settings(facts: JobFacts) -> tuple[dict[str, Any], list[str]]:
    """The hyperparameters, and in words what the job would have otherwise if it were made through this API."""
    spec = facts.spec
    wanted = facts.config.model_dump(mode="json")
    if spec.method == "supervised":
        given: dict[str, Any] = supervised_parameters(wanted)
        made: dict[str, Any] = supervised_config(given, None)
    else:
        given = {
            name: min(max(value, SMALLEST.get(name, 1)), LARGEST.get(name, 2**31 - 1))
            for name, value in reinforcement_parameters(wanted).items()
        }
        made = reinforcement_config(ReinforcementHyperParameters.model_validate(given), None)
        made["reward"] = {**spec.config["reward"], **_rules_for(spec.config["reward"].get("function"))}
    other = parsed(spec.method, made).model_dump(mode="json")
    return given, _differences(wanted, other, spec.method)


def _differences(wanted: dict[str, Any], other: dict[str, Any], method: str) -> list[str]:
    lines = []
    for section in ("data", "lora", "training", "evaluation", "run"):
        for field, value in wanted[section].items():
            if other[section][field] != value:
                lines.append(f"{section}.{field}: {other[section][field]!r} instead of {value!r}")
    for field in ("retries", "timeout_s") if method == "reinforcement" else ():
        if other["reward"][field] != wanted["reward"][field]:
            lines.append(f"reward.{field}: {other['reward'][field]!r} instead of {wanted['reward'][field]!r}")
    return lines


def _rules_for(function: str | None) -> dict[str, Any]:
    """What this API sets for calls of a function."""
    is_elsewhere = function is not None and not parse_reference(function).is_local
    return {"retries": REWARD_RETRIES, **({"timeout_s": LAMBDA_TIMEOUT_S} if is_elsewhere else {})}


def _function(facts: JobFacts) -> tuple[str | Code, list[str]]:
    """ARN of the reward function, and what to do where the reward is none."""
    reward = facts.spec.config["reward"]
    function = reward.get("function")
    if isinstance(function, str):
        further = sorted(set(reward) - {"function", "retries"})
        notes = [f"This API calls the function alone, without this job's reward.{name}." for name in further]
        reference = parse_reference(function)
        if reference.arn is not None:
            return function, notes
        return function_arn(reference.name, facts.region, facts.account_id, reference.qualifier), notes
    kind = "composition" if reward.get("compose") else next((k for k in _KINDS if reward.get(k)), "reward")
    advice = [f"This API takes a reward function of Lambda alone, and this job's reward is {_KINDS.get(kind, kind)}."]
    if kind == "template":
        advice.append(f"`tuneward rewards copy {reward['template']}` gives its code, to register as a function with")
        advice.append("`tuneward functions create` or CreateFunction of Lambda's API; REWARD_FUNCTION_ARN names that.")
    else:
        advice.append("Write one that gives the same scores, register it, and have REWARD_FUNCTION_ARN name it.")
    return Code(FUNCTION), advice


_KINDS = {
    "template": "a ready-made rule",
    "openai": "a grader of OpenAI's API",
    "judge": "a judge model",
    "endpoint": "an HTTP address",
    "composition": "a composition of several",
}
