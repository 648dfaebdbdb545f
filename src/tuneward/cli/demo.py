"""`tuneward demo`: the whole job on the built-in task, from data check to report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuneward.cli.common import AsJson, Overrides, Root, out, print_json
from tuneward.cli.train import TerminalWatcher, show_result
from tuneward.config import load_config
from tuneward.errors import RunError

if TYPE_CHECKING:
    from rich.console import Console

    from tuneward.runs.folder import RunFolder

RUN_NAME = "demo"

SETTINGS: dict[str, Any] = {
    "model": "smollm2-135m",
    "training": {"learning_rate": 3e-4, "max_completion_tokens": 48, "prompts_per_step": 8, "samples_per_prompt": 8},
    "evaluation": {"every_steps": 4, "stop_at_exact": 0.9, "preflight_prompts": 8, "early_stopping": False},
    "data": {"max_prompt_length": 256},
}
"""Small enough for two cores. Early stopping is off: the run ends at 90 % or after one pass over the rows."""

SHOWN = 3


def demo(root: Root = Path("runs"), overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Fine-tune the embedded 135M model with rewards, on this machine, and show whether it got better.

    Texts about people → JSON with name, age and city. An earlier demo run is replaced.
    """
    from tuneward.demo import demo_paths
    from tuneward.models.pull import is_pulled, pull
    from tuneward.runs.train import start_run

    console = out(as_json=as_json)
    if not is_pulled("smollm2-135m"):
        pull("smollm2-135m", lambda line: console.print(line, soft_wrap=True))
    paths = demo_paths()
    data = {"train": str(paths.train), "validation": str(paths.validation)}
    tree = SETTINGS | {
        "data": SETTINGS["data"] | data,
        "reward": {"file": str(paths.reward)},
        "run": {"name": RUN_NAME, "root": str(root)},
    }
    config = load_config(None, tuple(overrides or ()), tree)
    _replace_earlier(config.run.root / (config.run.name or RUN_NAME))
    watcher = TerminalWatcher(console)
    try:
        run = start_run(config, watcher)
    finally:
        watcher.close()
    result = run.read_json(run.result)
    if as_json:
        print_json(result)
        return
    _show_answers(console, run)
    show_result(console, run, result)
    console.print(
        f"\nNext: tuneward chat {run.path}        talk to the tuned model\n"
        f"      tuneward validate YOUR.jsonl   check your own prompts",
        soft_wrap=True,
    )


def _replace_earlier(path: Path) -> None:
    """Remove an earlier demo run; anything else in its place is left alone."""
    if not path.exists():
        return
    if not (path / "manifest.json").is_file() and any(path.iterdir()):
        raise RunError(f"{path} exists and is not a run; move it away or give another --root.")
    shutil.rmtree(path)


def _show_answers(console: Console, run: RunFolder) -> None:
    """The first validation rows before and after, not the best ones."""
    from rich.table import Table
    from rich.text import Text

    path = run.path / "samples.jsonl"
    if not path.is_file():
        return
    samples = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    table = Table(
        title="The first three validation rows, before and after", title_justify="left", show_lines=True, expand=True
    )
    for title in ("text", "before", "after"):
        table.add_column(title, ratio=1)
    for sample in samples[:SHOWN]:
        cells = [sample["prompt"][-1]["content"]]
        cells += [f"{sample[side]['text']}\n→ {_reward(sample[side]['reward'])}" for side in ("base", "tuned")]
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)


def _reward(value: float | None) -> str:
    return "not scored" if value is None else f"reward {value:.2f}"
