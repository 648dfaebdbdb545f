"""`tuneward sft`: supervised fine-tuning, by itself or as a start for a reward."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuneward.cli.common import AsJson, Overrides, Root, out, print_json
from tuneward.config import SupervisedConfig, load_section
from tuneward.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from tuneward.records import Record
    from tuneward.runs.folder import RunFolder
    from tuneward.runs.lessons import Lessons
    from tuneward.runs.supervised_session import SupervisedPlan


def sft(
    config: Annotated[Path | None, typer.Argument(help="YAML configuration.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Training JSONL: conversations with answers.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run folder.")] = None,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Go on with an interrupted run.")] = None,
    root: Root = Path("runs"),
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Train on given answers (LoRA) and write one run folder; `lora.init_from` builds on its adapter."""
    from tuneward.runs.supervised import resume_supervised, start_supervised

    console = out(as_json=as_json)
    watcher = _Lines(console)
    if resume is not None:
        if config is not None or overrides:
            raise ConfigError("--resume goes on with the run's own configuration; leave out the file and --set.")
        run = resume_supervised(resume, root, watcher)
    else:
        given = {
            "data": {"train": data} if data is not None else {},
            "run": {
                key: value for key, value in (("name", name), ("root", None if root == Path("runs") else root)) if value
            },
        }
        run = start_supervised(load_section(SupervisedConfig, config, tuple(overrides or ()), given), watcher)
    result = run.read_json(run.result)
    if as_json:
        print_json(result)
        return
    console.print(f"\n[bold]{result['verdict']}[/]\nStopped after step {result['steps']}: {result['stopped_because']}")
    console.print(f"Adapter  {run.adapter}", soft_wrap=True)
    if not result["is_complete"]:
        console.print(f"Go on with: tuneward sft --resume {run.path}", soft_wrap=True)


class _Lines:
    """A line for each evaluation, and for what is out of the ordinary."""

    def __init__(self, console: Console):
        self._console = console
        self._total = 0

    def prepared(self, run: RunFolder, config: SupervisedConfig, lessons: Lessons, plan: SupervisedPlan) -> None:
        """See `SupervisedWatcher.prepared`."""
        self._total = plan.total_steps
        dropped = f", {len(lessons.dropped)} dropped as too long" if lessons.dropped else ""
        self._console.print(
            f"[bold]{run.path}[/]  {config.model}  {len(lessons.train)} training and {len(lessons.validation)} "
            f"validation conversations{dropped}; {plan.total_steps} steps of {config.training.rows_per_step}",
            soft_wrap=True,
        )

    def write(self, record: Record) -> None:
        """See `SupervisedWatcher.write`."""
        if record["kind"] == "evaluation":
            self._console.print(
                f"step {record['step']}/{self._total}: validation loss {record['loss']:.3f} nats per token, "
                f"{record['token_accuracy']:.1%} of tokens as expected"
            )
        elif record["kind"] == "event":
            self._console.print(record["message"], markup=False, soft_wrap=True)

    def saved(self, step: int, checkpoint: Path) -> None:
        """See `SupervisedWatcher.saved`."""
