"""Tuned models of runs on this machine, as `tuneward serve --run` names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tuneward.errors import ConfigError, RunError
from tuneward.runs.folder import open_run


@dataclass(frozen=True, slots=True)
class ServedRun:
    """A finished run."""

    base: Path
    """Folder of the base model."""
    base_name: str
    adapter: Path
    created: int
    """Seconds since 1970."""


def open_runs(names: Sequence[str], root: Path) -> dict[str, ServedRun]:
    """Runs by name.

    Args:
        names: folders, or names under `root`.
        root: where runs are.

    Raises:
        ConfigError: two of one name.
        RunError: no such run, or it has no adapter yet.
    """
    found: dict[str, ServedRun] = {}
    for name in names:
        run = open_run(name, root)
        if not run.adapter.is_dir():
            raise RunError(
                f"{run.path}: no adapter yet (the run is {run.state}); finish it with tuneward train --resume."
            )
        if run.name in found:
            raise ConfigError(f'Two models would be called "{run.name}"; name each run and model once.')
        base = run.read_json(run.manifest)["model"]
        created = int(run.adapter.stat().st_mtime)
        found[run.name] = ServedRun(Path(base["path"]).resolve(), base["name"], run.adapter, created)
    return found
