"""`tuneward evaluate` and `tuneward compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuneward.cli.common import AsJson, Overrides, Root, number, out, percent, print_json
from tuneward.config import load_config
from tuneward.errors import ConfigError

if TYPE_CHECKING:
    from tuneward.config import Config


def evaluate(
    name: Annotated[str, typer.Argument(metavar="RUN|MODEL", help="A run (its tuned model) or a model.")],
    data: Annotated[Path | None, typer.Option("--data", help="Validation JSONL; a run knows its own.")] = None,
    reward: Annotated[Path | None, typer.Option(help="Python file with lambda_handler; a run knows its own.")] = None,
    root: Root = Path("runs"),
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Score a model on validation prompts."""
    from tuneward.runs.measure import evaluate_model

    config = _configuration(name, data, reward, root, overrides)
    evaluation = evaluate_model(name, config, root)
    record = {key: value for key, value in evaluation.record.items() if key not in ("kind", "step")}
    if as_json:
        print_json({"model": name, **record, "results": [row.to_json() for row in evaluation.rows]})
        return
    console = out()
    console.print(
        f"{name}: reward {number(record.get('reward_mean'))}, exact success {percent(record.get('exact'))} of "
        f"{record['rows']} rows, {record['completion_length_mean']:.0f} tokens a completion, "
        f"{percent(record['truncated_share'])} truncated",
        soft_wrap=True,
    )
    if record["grader_errors"]:
        reasons = [score.receipt.message for score in evaluation.scores if score.is_failed]
        console.print(f"{record['grader_errors']} answers could not be scored, the first because: {reasons[0]}")


def compare(
    name: Annotated[str, typer.Argument(metavar="RUN", help="Run folder or name.")],
    root: Root = Path("runs"),
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Compare a run's tuned model with its base model: same validation prompts, same seeds."""
    from tuneward.runs.measure import compare_run

    config = _configuration(name, None, None, root, overrides)
    comparison = compare_run(name, config, root)
    if as_json:
        print_json(comparison.to_json())
        return
    out().print(comparison.sentence(), soft_wrap=True)


def _configuration(
    name: str, data: Path | None, reward: Path | None, root: Path, overrides: list[str] | None
) -> Config:
    """The run's own configuration, or one made of the flags when `name` is a model."""
    from tuneward.errors import RunError
    from tuneward.runs.folder import open_run, read_config

    sections: dict[str, dict[str, Any]] = {}
    if data is not None:
        sections["data"] = {"train": data, "validation": data}
    if reward is not None:
        sections["reward"] = {"file": reward}
    try:
        run = open_run(name, root)
    except RunError:
        if data is None or reward is None:
            raise ConfigError(
                f'"{name}" is not a run, so give the prompts (--data) and the reward (--reward).'
            ) from None
        return load_config(None, (f"model={name}", *(overrides or ())), sections)
    tree = read_config(run).model_dump(mode="json")
    for section, values in sections.items():
        tree[section] |= values
    return load_config(None, tuple(overrides or ()), tree)
