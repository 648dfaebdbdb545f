"""What several commands share."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout instead of text.")]
Root = Annotated[Path, typer.Option("--root", help="Folder that holds the runs.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", "-s", metavar="KEY.PATH=VALUE", help="Override any configuration field.")
]


def out(*, as_json: bool = False) -> Console:
    """Console for results; with --json, talk goes to stderr so that stdout stays one document."""
    return Console(stderr=as_json, highlight=False)


def print_json(value: Any) -> None:
    """One JSON document; NaN has no place in JSON and becomes null."""
    typer.echo(json.dumps(_finite(value), indent=2, ensure_ascii=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def percent(share: float | None) -> str:
    return "–" if share is None or math.isnan(share) else f"{100 * share:.1f} %"


def number(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"
