"""A job without a server: a configuration for `tuneward train`, and the commands around it."""

from __future__ import annotations

import json
import shlex
from typing import Any
from urllib.parse import quote

import yaml

from tuneward.jobs.spec import FileSource, LogsSource, Source
from tuneward.serve.job_code.facts import TRAIN, VALIDATION, JobFacts, commented, place_of


def config_yaml(facts: JobFacts) -> str:
    """A configuration for `tuneward train`, or `tuneward sft`."""
    spec = facts.spec
    command = "sft" if spec.method == "supervised" else "train"
    notes = [f"A configuration for `tuneward {command}`; {TRAIN} holds the rows of {place_of(spec.training)}."]
    data = {"train": TRAIN}
    if facts.validation is not None:
        notes.append(f"{VALIDATION} holds the rows of {place_of(facts.validation)}.")
        data["validation"] = VALIDATION
    sections: dict[str, Any] = {name: dict(section) for name, section in spec.config.items()}
    tree: dict[str, Any] = {"model": spec.base_model, **sections, "data": data | sections.get("data", {})}
    if spec.method == "supervised":
        tree = {"method": "supervised", **tree}
    if spec.start_from is not None:
        notes.append(f"{facts.model} is a tuned model: download its adapter, unpack it, and have init_from name it.")
        tree["lora"] = {**sections.get("lora", {}), "init_from": "adapter"}
    if spec.base_model != facts.model and spec.start_from is None:
        notes.append(f"{facts.model} is {spec.base_model} on this server.")
    if facts.name is not None:
        tree["run"] = {**sections.get("run", {}), "name": facts.name.replace("+", "-")}
    notes += _reward_notes(sections.get("reward", {}))
    if spec.response_format is not None:
        notes.append("The job on the server asks for answers in a form, in every row; add that to the rows' prompts.")
    return commented(*notes) + str(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=100))


def cli(facts: JobFacts) -> str:
    """Commands: the job on the machine where they are run, and the same on this server."""
    spec = facts.spec
    command = "sft" if spec.method == "supervised" else "train"
    lines = [commented("The rows."), _fetch(facts, spec.training, TRAIN)]
    if facts.validation is not None:
        lines.append(_fetch(facts, facts.validation, VALIDATION))
    lines.append("\n" + commented("Check them, see what the job takes, and train: on this machine, without a server."))
    lines.append(commented("config.yaml is the configuration beside this."))
    if spec.method == "reinforcement":
        also = f" --validation {VALIDATION}" if facts.validation is not None else ""
        lines.append(f"tuneward validate {TRAIN}{also}\ntuneward plan config.yaml\n")
    lines.append(f"tuneward {command} config.yaml\n")
    lines.append("\n" + commented("Or the same job on the server, without a client library."))
    body = shlex.quote(json.dumps(dict(facts.request)))
    lines.append(
        f'curl -fsS {shlex.quote(f"{facts.url}/api/jobs")} -H "Authorization: Bearer $TUNEWARD_API_KEY" \\\n'
        f"  -H 'Content-Type: application/json' -d {body}\n"
    )
    return "".join(lines)


def _fetch(facts: JobFacts, source: Source, target: str) -> str:
    if isinstance(source, FileSource):
        address = shlex.quote(f"{facts.url}/v1/files/{quote(source.file_id, safe='')}/content")
        return f'curl -fsS {address} -H "Authorization: Bearer $TUNEWARD_API_KEY" -o {target}\n'
    if isinstance(source, LogsSource):
        return commented(f"{target} is to be made of the calls logged below {source.uri}; jobs on a server do that.")
    return f"aws s3 cp {shlex.quote(source.uri)} {target}\n"


def _reward_notes(reward: dict[str, Any]) -> list[str]:
    notes = []
    parts = ((reward.get("compose") or {}).get("parts") or {}).values()
    graders = [reward, *parts, reward.get("held_out") or {}]
    if any(grader.get("function") for grader in graders):
        notes.append("Its reward function is registered with the server's project: `tuneward functions` of your own.")
    if any(grader.get("judge") or grader.get("openai") for grader in graders):
        notes.append("Judge models are found by reward.connection; without it by OPENAI_BASE_URL and OPENAI_API_KEY.")
    return notes
