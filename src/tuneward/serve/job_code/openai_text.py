"""A job as a Python script with OpenAI's client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuneward.jobs.spec import FileSource, Source
from tuneward.serve.job_code.facts import TRAIN, VALIDATION, JobFacts, commented, literal, place_of
from tuneward.serve.openai.job_overrides import REWARD

DECIDED: dict[str, dict[str, tuple[str, ...]]] = {
    "reinforcement": {
        "data": ("max_prompt_length",),
        "training": ("samples_per_prompt", "learning_rate", "max_completion_tokens"),
        "evaluation": ("every_steps", "samples_per_prompt", "temperature", "early_stopping", "max_rows"),
    },
    "supervised": {
        "data": ("max_row_tokens",),
        "training": ("learning_rate",),
        "evaluation": ("early_stopping", "max_rows"),
    },
}
"""Settings that this API decides by the data when they are not given, so that they must be."""

LARGEST_BATCH = 256


def openai_script(facts: JobFacts) -> str:
    """Uploads the rows and creates the job."""
    spec = facts.spec
    notes = ["Starts the job with OpenAI's client: pip install openai"]
    if facts.name is not None:
        notes.append(f"This API gives jobs no names; on this server's own API it is called {facts.name}.")
    if spec.output_uri is not None:
        notes.append(f"This API has no place for results: it does not copy them to {spec.output_uri}.")
    call: list[str] = [f"model={literal(facts.model)},", "training_file=training_file,"]
    files = _upload("training_file", spec.training, TRAIN)
    if facts.validation is not None:
        files += _upload("validation_file", facts.validation, VALIDATION)
        call.append("validation_file=validation_file,")
    if spec.suffix is not None:
        call.append(f"suffix={literal(spec.suffix)},")
    call.append(f"seed={facts.config.run.seed},")
    if facts.metadata:
        call.append(f"metadata={literal(facts.metadata)},")
    method, own = _method(facts)
    call.append(f"method={literal(method)},")
    call.append(f'extra_body={{"tuneward": {literal(own)}}},')
    lines = "\n    ".join(call)
    return (
        f"{commented(*notes)}import os\n\nfrom openai import OpenAI\n\n"
        f'client = OpenAI(base_url={literal(facts.url + "/v1")}, api_key=os.environ["TUNEWARD_API_KEY"])\n\n'
        f"{files}\njob = client.fine_tuning.jobs.create(\n    {lines}\n)\nprint(job.id, job.status)\n"
    )


def _upload(variable: str, source: Source, path: str) -> str:
    note = ""
    if not isinstance(source, FileSource):
        note = commented(f"This API takes uploaded files alone: {path} has to hold the rows of {place_of(source)}.")
    create = 'client.files.create(file=rows, purpose="fine-tune").id'
    return f'{note}with open("{path}", "rb") as rows:\n    {variable} = {create}\n'


def _method(facts: JobFacts) -> tuple[dict[str, Any], dict[str, Any]]:
    """`method`, and what stands in `tuneward`: everything that the method has no word for."""
    spec = facts.spec
    config = facts.config.model_dump(mode="json")
    own: dict[str, dict[str, Any]] = {
        name: {field: config[name][field] for field in fields} for name, fields in DECIDED[spec.method].items()
    }
    for name, section in spec.config.items():
        if name != "reward":
            own.setdefault(name, {}).update(section)
    own.get("run", {}).pop("seed", None)
    training = own["training"]
    batch = "rows_per_step" if spec.method == "supervised" else "prompts_per_step"
    hyperparameters = {"n_epochs": training.pop("epochs")}
    if training[batch] <= LARGEST_BATCH:
        hyperparameters["batch_size"] = training.pop(batch)
    inner: dict[str, Any] = {"hyperparameters": hyperparameters}
    if spec.method == "reinforcement":
        grader, further = _grader(spec.config["reward"], config["reward"]["error_budget"])
        inner = {"grader": grader, **inner}
        if spec.response_format is not None:
            inner["response_format"] = spec.response_format
        own["reward"] = further
    own = {name: section for name, section in own.items() if section}
    return {"type": spec.method, spec.method: inner}, own


def _grader(reward: Mapping[str, Any], error_budget: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """`grader`, and what stands beside it in `tuneward.reward`."""
    rest = {name: value for name, value in reward.items() if name != "openai"}
    if isinstance(reward.get("openai"), dict) and set(rest) <= set(REWARD):
        return dict(reward["openai"]), {**rest, "error_budget": error_budget}
    return {"type": "tuneward", "reward": {**reward, "error_budget": error_budget}}, {}
