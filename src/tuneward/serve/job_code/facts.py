"""What the texts need to know of a job, and how they write it down."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuneward.config import Config, SupervisedConfig, parse_config, parse_section
from tuneward.jobs.spec import FileSource, JobSpec, LogsSource, Source

TRAIN, VALIDATION = "train.jsonl", "validation.jsonl"
WIDTH = 100


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A job to be written down."""

    spec: JobSpec
    model: str
    """As the caller named it."""
    managed_model: str
    """The same for Bedrock's API."""
    name: str | None
    metadata: dict[str, str] | None
    url: str
    """Of this server, as the caller reaches it."""
    region: str
    account_id: str
    request: Mapping[str, Any]
    """Body of `POST /api/jobs`."""

    @property
    def config(self) -> Config | SupervisedConfig:
        return parsed(self.spec.method, self.spec.config)

    @property
    def validation(self) -> Source | None:
        return self.spec.validation[0] if self.spec.validation else None


@dataclass(frozen=True, slots=True)
class Code:
    """Python that stands for itself in a literal."""

    text: str


def parsed(method: str, sections: Mapping[str, Any]) -> Config | SupervisedConfig:
    """The whole configuration of which these sections are given; without a reward, of any."""
    tree = {**sections, "data": {**sections.get("data", {}), "train": TRAIN}}
    if method == "supervised":
        return parse_section(SupervisedConfig, tree)
    return parse_config({"reward": {"template": "math_answer"}, **tree})


def literal(value: Any, indent: int = 4, lead: int = 16) -> str:
    """A JSON value as Python, in as few lines as fit.

    Args:
        value: the value.
        indent: of further lines.
        lead: what stands before it on its first line, beside that.
    """
    short = _short(value)
    if len(short) + indent + lead <= WIDTH or not value or not isinstance(value, dict | list):
        return short
    pad = " " * (indent + 4)
    if isinstance(value, dict):
        parts = [
            f"{pad}{_short(key)}: {literal(inner, indent + 4, len(_short(key)) + 3)}," for key, inner in value.items()
        ]
        return "\n".join(["{", *parts, " " * indent + "}"])
    return "\n".join(["[", *(f"{pad}{literal(inner, indent + 4, 1)}," for inner in value), " " * indent + "]"])


def _short(value: Any) -> str:
    """On one line, with the quotes that people write."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_short(key)}: {_short(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_short, value)) + "]"
    if isinstance(value, Code):
        return value.text
    return json.dumps(value) if isinstance(value, str) else repr(value)


def commented(*lines: str) -> str:
    """Lines as comments of Python, YAML or a shell, whatever they quote; each ends with a line end."""
    printable = ("".join(sign if sign.isprintable() else " " for sign in line) for line in lines)
    return "".join(f"# {' '.join(line.split())}\n" for line in printable)


def place_of(source: Source) -> str:
    """Where rows come from, in words."""
    if isinstance(source, FileSource):
        return f"the file {source.file_id}"
    return f"logged calls below {source.uri}" if isinstance(source, LogsSource) else source.uri


def plain_name(text: str, otherwise: str) -> str:
    """A text as a name that Bedrock takes: letters, digits, and single - and _ between them."""
    name = re.sub(r"[^0-9a-zA-Z]+", "-", text).strip("-")[:63].strip("-")
    return name or otherwise
