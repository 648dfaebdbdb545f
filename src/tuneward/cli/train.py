"""`tuneward train`: start or resume a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuneward.cli.common import AsJson, Overrides, Root, out, print_json
from tuneward.cli.live import LiveDisplay
from tuneward.config import load_config
from tuneward.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from tuneward.config import Config
    from tuneward.records import Record
    from tuneward.runs.folder import RunFolder
    from tuneward.runs.plan import Plan
    from tuneward.runs.prepare import Prompts


def train(
    config: Annotated[Path | None, typer.Argument(help="YAML configuration.")] = None,
    model: Annotated[str | None, typer.Option(help="Alias, folder, .gguf file or Hugging Face id.")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Training JSONL.")] = None,
    validation: Annotated[Path | None, typer.Option(help="Validation JSONL.")] = None,
    reward: Annotated[Path | None, typer.Option(help="Python file with lambda_handler.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run folder.")] = None,
    stop_at: Annotated[int | None, typer.Option(help="Finish this step, save and stop.")] = None,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Go on with an interrupted run.")] = None,
    prove: Annotated[bool, typer.Option("--prove", help="Check the first step against a plain computation.")] = False,
    root: Root = Path("runs"),
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Train with rewards (GRPO with LoRA) and write one run folder.

    Ctrl-C once finishes the step and saves; twice stops at once.
    """
    from tuneward.runs.train import resume_run, start_run

    console = out(as_json=as_json)
    watcher = TerminalWatcher(console)
    try:
        if resume is not None:
            if config is not None or overrides:
                raise ConfigError("--resume goes on with the run's own configuration; leave out the file and --set.")
            run = resume_run(resume, root, watcher, stop_at=stop_at)
        else:
            run = start_run(
                _configuration(config, model, data, validation, reward, name, stop_at, root, overrides),
                watcher,
                with_proof=prove,
            )
    finally:
        watcher.close()
    result = run.read_json(run.result)
    if as_json:
        print_json(result)
    else:
        show_result(console, run, result)


def _configuration(
    file: Path | None,
    model: str | None,
    data: Path | None,
    validation: Path | None,
    reward: Path | None,
    name: str | None,
    stop_at: int | None,
    root: Path,
    overrides: list[str] | None,
) -> Config:
    flags: dict[str, dict[str, Any]] = {
        "data": {"train": data, "validation": validation},
        "reward": {"file": reward},
        "run": {"name": name, "stop_at": stop_at, "root": root if root != Path("runs") else None},
    }
    given = {
        section: {key: value for key, value in values.items() if value is not None} for section, values in flags.items()
    }
    extra = (f"model={model}",) if model is not None else ()
    return load_config(file, (*extra, *(overrides or ())), given)


class TerminalWatcher:
    """Shows a run on the terminal while it goes."""

    def __init__(self, console: Console):
        self._console = console
        self._display: LiveDisplay | None = None

    def prepared(
        self, run: RunFolder, config: Config, prompts: Prompts, plan: Plan, rendered: str, stops: list[str]
    ) -> None:
        """See `Watcher.prepared`."""
        from rich.panel import Panel
        from rich.text import Text

        from tuneward.runs.sinks import read_records

        training = config.training
        dropped = f", {len(prompts.dropped)} dropped as too long" if prompts.dropped else ""
        self._console.print(
            f"[bold]{run.path}[/]  {config.model}  {len(prompts.train)} training and {len(prompts.validation)} "
            f"validation prompts{dropped}\n{plan.total_steps} steps of {training.prompts_per_step} prompts × "
            f"{training.samples_per_prompt} samples, evaluation every {plan.evaluate_every} steps, "
            f"loss {training.loss}, learning rate {training.learning_rate:g}, {plan.threads} threads, "
            f"at most {plan.peak_memory_bytes / 2**30:.1f} GiB of memory",
            soft_wrap=True,
        )
        title = f"first prompt as the model sees it; an answer ends at {', '.join(stops)}"
        self._console.print(Panel(Text(rendered), title=Text(title), title_align="left", border_style="dim"))
        self._display = LiveDisplay(self._console, total_steps=plan.total_steps, title=run.name)
        if run.metrics.is_file():
            self._display.recall(read_records(run.metrics))

    def write(self, record: Record) -> None:
        """See `Watcher.write`."""
        if self._display is not None:
            self._display.write(record)

    def saved(self, step: int, checkpoint: Path) -> None:
        """See `Watcher.saved`."""

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._display is not None:
            self._display.close()


def show_result(console: Console, run: RunFolder, result: dict[str, Any]) -> None:
    """The end of a run in a few lines: verdict, paths, what to do next."""
    console.print(f"\n[bold]{result['verdict']}[/]", soft_wrap=True)
    console.print(f"Stopped after step {result['steps']}: {result['stopped_because']}", soft_wrap=True)
    console.print(f"Adapter  {run.adapter}\nReport   {run.report}", soft_wrap=True)
    if not result["is_complete"]:
        console.print(f"Go on with: tuneward train --resume {run.path}", soft_wrap=True)
