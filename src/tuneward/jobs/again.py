"""A job as a request for the same job again, whichever way it was asked for the first time."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuneward.config import Config, SupervisedConfig, parse_section
from tuneward.errors import ConfigError
from tuneward.jobs.spec import JobSpec
from tuneward.store.tables import Job

LONGEST_NAME = 63
"""Characters. Source: Bedrock RFT contract, 8.1 (`jobName`)."""


FITTED = (("data", "max_prompt_length"), ("data", "max_row_tokens"), ("training", "max_completion_tokens"))


def request_again(session: Session, job: Job) -> dict[str, Any]:
    """The body that makes a job like this one.

    `config` holds what is not the default, the seed included; its reward is the whole reward. A name can be taken only
    once, so the job gets another one. Of several sources of validation rows, which only Bedrock's API takes, it is the
    first.
    """
    spec = JobSpec.model_validate(job.spec)
    body: dict[str, Any] = {
        "name": None if job.name == f"ftjob-{job.id}" else _free_name(job.name, _is_taken(session, job.project_id)),
        "method": spec.method,
        "model": job.model,
        "training": spec.training,
        "validation": spec.validation[0] if spec.validation else None,
        "config": changed_settings(spec),
        "response_format": spec.response_format,
        "suffix": spec.suffix,
        "metadata": job.user_metadata or None,
        "output_uri": spec.output_uri,
    }
    return {name: value for name, value in body.items() if value is not None}


def changed_settings(spec: JobSpec) -> dict[str, Any]:
    """Sections of a job's configuration with the settings that are not the defaults."""
    kind: type[SupervisedConfig] | type[Config] = SupervisedConfig if spec.method == "supervised" else Config
    whole = copy.deepcopy(spec.config)
    whole["data"] = {**(whole.get("data") or {}), "train": "train.jsonl"}
    try:
        config = parse_section(kind, whole)
    except ConfigError:  # the job failed for it; whoever clones the job is to mend it
        return copy.deepcopy(spec.config)
    tree = config.model_dump(mode="json", exclude_defaults=True)
    tree["data"].pop("train", None)
    for section, field in FITTED:  # a request that leaves these out gets what fits the model
        if field in spec.config.get(section, {}):
            tree.setdefault(section, {})[field] = spec.config[section][field]
    if "reward" in spec.config:
        tree["reward"] = copy.deepcopy(spec.config["reward"])
    return {name: section for name, section in tree.items() if isinstance(section, dict) and section}


def _is_taken(session: Session, project_id: str) -> Callable[[str], bool]:
    def is_taken(name: str) -> bool:
        return session.scalar(select(Job.id).where(Job.project_id == project_id, Job.name == name)) is not None

    return is_taken


def _free_name(name: str, is_taken: Callable[[str], bool]) -> str:
    """`sums` → `sums-2`, `sums-2` → `sums-3`: the first that is free."""
    stem, _, last = name.rpartition("-")
    number = int(last) if stem and last.isdecimal() and len(last) < 5 else 1
    stem = stem if number > 1 else name
    while True:
        number += 1
        ending = f"-{number}"
        free = stem[: LONGEST_NAME - len(ending)] + ending
        if not is_taken(free):
            return free
