"""`tuneward rewards test`: does a reward measure what it should?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from tuneward.cli.common import AsJson, Root, out, print_json

if TYPE_CHECKING:
    from tuneward.rewards.bench import BenchReport, Finding

STYLES = {"pass": "green", "warn": "yellow", "fail": "bold red", "not applicable": "dim"}


def bench_reward(
    name: Annotated[
        str,
        typer.Argument(
            metavar="GRADER",
            help="A configuration (.yaml), a reward (.py), an OpenAI grader (.json), a ready-made template, "
            "function:NAME, or a URL.",
        ),
    ],
    data: Annotated[Path, typer.Option("--data", help="JSONL file with rows the grader is meant for.")],
    rows: Annotated[
        int | None, typer.Option(min=1, help="Rows to use, spread over the file.", show_default="32; 8 for models")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Model or run whose answers are scored too; best the one to be trained.")
    ] = None,
    scale: Annotated[
        tuple[float, float] | None,
        typer.Option("--range", metavar="LOW HIGH", help="Lowest and highest score.", show_default="0 1"),
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer of --model, tokens.")] = 256,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 for warnings, too.")] = False,
    root: Root = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Test a reward before a model learns from it: repeatability, order of good and bad answers, gaming, odd input.

    Exit code 1 when a check fails: nothing can be scored, scores are not finite, or a rule contradicts itself.
    """
    from tuneward.data import read_rows
    from tuneward.rewards import build_reward
    from tuneward.rewards.bench import bench_grader, bounds_of, find_target, nature_of, without_cache

    config = without_cache(find_target(name, data))
    chosen = read_rows(data)
    grader = build_reward(config)
    try:
        base = None
        if model is not None:
            from tuneward.runs.base_samples import sampler_of

            base = sampler_of(model, root=root, max_tokens=max_tokens)
        report = bench_grader(
            grader,
            chosen,
            nature=nature_of(config),
            bounds=scale or bounds_of(config),
            base=base,
            rebuild=lambda: build_reward(config),
            max_rows=rows,
        )
    finally:
        grader.close()
    if as_json:
        print_json(report.to_json())
    else:
        _print(report)
    if report.has_failed or (strict and not report.is_clean):
        raise typer.Exit(1)


def _print(report: BenchReport) -> None:
    console = out()
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("check", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("what it means", overflow="fold", ratio=3)
    table.add_column("example", overflow="fold", ratio=2)
    for check, finding in report.findings.items():
        verdict = f"[{STYLES[finding.outcome]}]{finding.outcome}[/]"
        example = finding.example.sentence() if finding.example else ""
        table.add_row(check, verdict, escape(_meaning(finding)), escape(example))
    console.print(table)
    counts = {style: sum(str(f.outcome) == style for f in report.findings.values()) for style in STYLES}
    console.print(
        f"\n{escape(report.grader)}: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) +
        f"; {report.scored} samples of {report.rows} rows in {report.seconds:.1f} s", soft_wrap=True
    )  # fmt: skip
    if report.rendering:
        console.print(f"Good answers were made of {escape(report.rendering)}.", soft_wrap=True)


def _meaning(finding: Finding) -> str:
    return f"{finding.message} {finding.advice}".strip()
