"""`tuneward validate`: check a dataset before anything expensive starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tuneward.config import Config, DataConfig
from tuneward.data import Code, DataReport, FileReport, Problem, Severity
from tuneward.data import validate as check_files
from tuneward.data.report import size_class
from tuneward.errors import DataError, ModelError
from tuneward.types import Row

DEFAULT_MODEL: str = Config.model_fields["model"].default
DEFAULT_MAX_PROMPT_LENGTH: int = DataConfig.model_fields["max_prompt_length"].default

SHOWN_PER_CODE = 5
"""Problems of one kind that are printed; `--json` lists up to 1,000."""

BAR_WIDTH = 40


def validate(
    train: Annotated[Path, typer.Argument(metavar="TRAIN", help="JSONL file of training prompts.")],
    validation: Annotated[Path | None, typer.Option(help="JSONL file of validation prompts.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Model whose chat template and tokens count.", show_default=DEFAULT_MODEL)
    ] = None,
    max_prompt_length: Annotated[
        int, typer.Option(min=1, help="Tokens; longer prompts are dropped in training.")
    ] = DEFAULT_MAX_PROMPT_LENGTH,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    no_tokens: Annotated[bool, typer.Option("--no-tokens", help="Do not count tokens; needs no model.")] = False,
) -> None:
    """Check a dataset: format, sizes, prompt lengths, repetitions and leaks. Exit code 0 when usable, 3 when not."""
    count_tokens, note = (None, "") if no_tokens else _token_counter(model)
    if note:
        typer.echo(note, err=True)
    report = check_files(train, validation, count_tokens=count_tokens, max_prompt_length=max_prompt_length)
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=2, ensure_ascii=False))
    else:
        _print_report(report, Console(soft_wrap=True, markup=False, highlight=False))
    if not report.ok:
        raise typer.Exit(DataError.exit_code)


def _token_counter(model: str | None) -> tuple[Callable[[Row], int] | None, str]:
    """The counter, or None and the reason. Raises ModelError for a model the user asked for by name."""
    from tuneward.models import load_chat_tokenizer

    try:
        tokenizer = load_chat_tokenizer(model or DEFAULT_MODEL)
    except ModelError as error:
        if model is not None:
            raise
        return None, f"Prompt lengths are not checked. {error} Or name another model with --model."
    return (lambda row: len(tokenizer.render(row))), ""


def _print_report(report: DataReport, console: Console) -> None:
    _print_file("Training", report.train, console)
    if report.validation is not None:
        _print_file("Validation", report.validation, console)
    _print_lengths(report, console)
    for severity, title, style in (
        (Severity.ERROR, "Errors", "bold red"),
        (Severity.WARNING, "Warnings", "yellow"),
        (Severity.INFO, "Remarks", "dim"),
    ):
        if report.count(severity):
            console.print(f"\n{title} ({report.count(severity):,})", style=style)
            _print_problems(report, severity, console)
    if report.ok:
        console.print(f"\nReady: {report.train.usable:,} training rows.", style="green")
    else:
        console.print(f"\nNot ready: {report.count(Severity.ERROR):,} errors.", style="bold red")


def _print_file(title: str, file: FileReport, console: Console) -> None:
    details = [f"{file.rows:,} rows" + (f" ({size_class(file.rows)})" if title == "Training" and file.rows else "")]
    for count, name in (
        (file.bad_lines, "with errors"),
        (file.too_long, "too long"),
        (file.duplicates, "repeated"),
        (file.conflicts, "contradictory"),
    ):
        if count:
            details.append(f"{count:,} {name}")
    console.print(f"{title:<11}{file.path}: {', '.join(details)}")


def _print_lengths(report: DataReport, console: Console) -> None:
    lengths = report.train.lengths
    if lengths is None:
        return
    console.print(
        f"Tokens     per training prompt: min {lengths.minimum:,}, mean {lengths.mean:,.1f}, median {lengths.p50:,}, "
        f"95 % up to {lengths.p95:,}, max {lengths.maximum:,} (limit {report.max_prompt_length:,})"
    )
    most = max(count for _, _, count in lengths.bins)
    for first, last, count in lengths.bins:
        name = f"{first}" if first == last else f"{first}–{last}"
        bar = "#" * -(-count * BAR_WIDTH // most)
        console.print(f"  {name:>13} {bar} {count:,}" if count else f"  {name:>13}")


def _print_problems(report: DataReport, severity: Severity, console: Console) -> None:
    by_code: dict[Code, list[Problem]] = {}
    for problem in report.problems:
        if problem.severity is severity:
            by_code.setdefault(problem.code, []).append(problem)
    for code, problems in by_code.items():
        # What concerns the whole file sums up the lines, so it comes first.
        for problem in sorted(problems, key=lambda problem: problem.line > 0)[:SHOWN_PER_CODE]:
            console.print(f"  {problem}")
        if (left := report.counts[severity, code] - SHOWN_PER_CODE) > 0:
            console.print(f"  … and {left:,} more of this kind ({code.value}); --json lists them.")
