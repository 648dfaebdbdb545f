"""The body's `tuneward`, and the `config` of `POST /api/jobs`: any setting of a run that is safe to leave to a caller.

Paths, commands, addresses and secrets are the operator's: nothing here names a file, a program or a host.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tuneward.config import Config, SupervisedConfig, parse_section
from tuneward.config.load import section_of
from tuneward.errors import ConfigError, did_you_mean
from tuneward.jobs.problems import InvalidRequestError
from tuneward.types import Json

Kind = Literal["reinforcement", "supervised"]

CONFIGS: dict[Kind, type[Config] | type[SupervisedConfig]] = {
    "reinforcement": Config,
    "supervised": SupervisedConfig,
}

REWARD = ("timeout_s", "batch_size", "retries", "reference_answer", "on_failure", "check", "error_budget")
RUN = ("checkpoint_every_steps", "keep_checkpoints", "keep_rollouts")
DENIED = {"data": ("train", "validation"), "lora": ("init_from",), "training": (), "evaluation": ()}
"""Sections that are open but for these fields."""


def merged(
    kind: Kind,
    sections: Mapping[str, Any],
    overrides: Mapping[str, Mapping[str, Json]] | None,
    *,
    place: str = "tuneward",
    run: tuple[str, ...] = RUN,
) -> dict[str, Any]:
    """The sections with the overrides laid over them, checked as a whole.

    Args:
        kind: of the job.
        sections: what is set otherwise, not checked for being open.
        overrides: section → field → value, as the caller gave them.
        place: member of the body that holds them, for messages.
        run: fields of the section `run` that are open.

    Raises:
        InvalidRequestError: a field that is unknown or not open, or a value out of range.
    """
    allowed = open_fields(kind) | {"run": run}
    tree = {name: dict(section) for name, section in sections.items()}
    for name, fields in (overrides or {}).items():
        if name not in allowed:
            raise _unknown(f"{place}.{name}", did_you_mean(name, allowed) or f"; sections: {', '.join(allowed)}.")
        for field, value in fields.items():
            if field not in allowed[name]:
                raise _unknown(f"{place}.{name}.{field}", did_you_mean(field, allowed[name]) or ".")
            tree.setdefault(name, {})[field] = value
    _check(kind, tree, place)
    return tree


def open_fields(kind: Kind) -> dict[str, tuple[str, ...]]:
    """Section → fields that a request may set."""
    fields: dict[str, tuple[str, ...]] = {}
    for name, denied in DENIED.items():
        section = section_of(CONFIGS[kind].model_fields[name].annotation)
        assert section is not None
        fields[name] = tuple(field for field in section.model_fields if field not in denied)
    return fields | {"run": RUN} | ({"reward": REWARD} if kind == "reinforcement" else {})


def _check(kind: Kind, tree: Mapping[str, Any], place: str) -> None:
    whole = {**tree, "data": {**tree.get("data", {}), "train": "train.jsonl"}}
    try:
        parse_section(CONFIGS[kind], whole, place)
    except ConfigError as error:
        message = str(error).splitlines()[0]
        raise InvalidRequestError(message, param=place, code="invalid_value") from None


def _unknown(place: str, hint: str) -> InvalidRequestError:
    return InvalidRequestError(f"Unknown parameter: '{place}'{hint}", param=place, code="unknown_parameter")
