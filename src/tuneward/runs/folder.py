"""The run folder: names, atomic files, and the lock that keeps two processes out of one run."""

from __future__ import annotations

import datetime
import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tuneward.config import Config, parse_config
from tuneward.errors import RunError, did_you_mean


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run. Everything a later command trusts is written atomically."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def config(self) -> Path:
        """Resolved configuration, YAML."""
        return self.path / "config.yaml"

    @property
    def manifest(self) -> Path:
        """What the run was made from: versions, hashes, resolved numbers. Its presence makes a folder a run."""
        return self.path / "manifest.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def receipts(self) -> Path:
        """What happened in each grader call."""
        return self.path / "receipts.jsonl"

    @property
    def rollouts(self) -> Path:
        """What was sampled in each step, and how it was scored; missing when a run keeps none."""
        return self.path / "rollouts.db"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def adapter(self) -> Path:
        """The run's product: a copy of the best checkpoint's adapter."""
        return self.path / "adapter"

    @property
    def result(self) -> Path:
        """Written when the run ends."""
        return self.path / "result.json"

    @property
    def data_report(self) -> Path:
        """What the data check found, JSON."""
        return self.path / "data_report.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def evaluation(self, step: int) -> Path:
        """Each validation row's answer and reward at a step, JSONL."""
        return self.path / "evaluations" / f"step-{step:06d}.jsonl"

    def read_json(self, path: Path) -> Any:
        """Raises RunError when the file is missing or damaged."""
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunError(f"{self.path}: {path.name} is missing, so this run has not got that far.") from None
        except ValueError:
            raise RunError(f"{path}: damaged (not JSON).") from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process. Raises RunError when another process trains it."""
        handle = (self.path / ".lock").open("w")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            raise RunError(f"{self.path}: another process is working on this run.") from None
        try:
            yield
        finally:
            handle.close()

    @property
    def is_locked(self) -> bool:
        try:
            with self.locked():
                return False
        except (RunError, OSError):
            return True

    @property
    def state(self) -> str:
        """`running`, `finished`, `stopped` (on request) or `interrupted`; the last two can be resumed."""
        if self.is_locked:
            return "running"
        if not self.result.is_file():
            return "interrupted"
        return "finished" if self.read_json(self.result).get("is_complete") else "stopped"


def write_atomically(path: Path, text: str) -> None:
    """Replace a file as a whole. Raises RunError when the disk is full or not writable."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RunError(f"{path}: cannot be written ({error.strerror}).") from None


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file as a whole. Raises RunError."""
    write_atomically(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def create_run(root: Path, name: str | None, model: str) -> RunFolder:
    """Make a new, empty run folder.

    Raises:
        RunError: the folder exists already, or cannot be made.
    """
    if name is None:
        stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
        name = f"{stamp}-{re.sub(r'[^A-Za-z0-9._-]+', '-', Path(model).name)[:40]}"
    path = root / name
    try:
        path.mkdir(parents=True)
        (path / "checkpoints").mkdir()
    except FileExistsError:
        raise RunError(
            f"{path} exists already; go on with it (tuneward train --resume {path}) or give another run.name."
        ) from None
    except OSError as error:
        raise RunError(f"{path}: the run folder cannot be made ({error.strerror}); set run.root elsewhere.") from None
    return RunFolder(path)


def open_run(name: str, root: Path = Path("runs")) -> RunFolder:
    """Find a run by folder or by name under `root`. Raises RunError with the nearest name."""
    for path in (Path(name), root / name):
        if (path / "manifest.json").is_file():
            return RunFolder(path)
    known = [run.name for run in list_runs(root)]
    hint = did_you_mean(name, known) or f". Runs in {root}: {', '.join(known) or 'none'}."
    raise RunError(f'No run "{name}"{hint}')


def read_config(run: RunFolder) -> Config:
    """The resolved configuration a run was started with. Raises RunError, ConfigError."""
    try:
        return parse_config(yaml.safe_load(run.config.read_text(encoding="utf-8")), str(run.config))
    except (OSError, yaml.YAMLError) as error:
        raise RunError(f"{run.config}: cannot be read ({error}).") from None


def list_runs(root: Path = Path("runs")) -> list[RunFolder]:
    """Runs under a folder, oldest first."""
    found = [RunFolder(path.parent) for path in root.glob("*/manifest.json")]
    return sorted(found, key=lambda run: (run.manifest.stat().st_mtime, run.name))
