"""`tuneward runs`: list and show run folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tuneward.cli.common import AsJson, Root, number, out, percent, print_json

if TYPE_CHECKING:
    from tuneward.runs.folder import RunFolder

runs_app = typer.Typer(help="List and show runs.", no_args_is_help=True)


@runs_app.command("list")
def list_command(root: Root = Path("runs"), as_json: AsJson = False) -> None:
    """List the runs in a folder."""
    from rich.table import Table

    from tuneward.runs.folder import list_runs

    rows = [_summary(run) for run in list_runs(root)]
    if as_json:
        print_json(rows)
        return
    if not rows:
        out().print(f"No runs in {root}. Start one: tuneward demo")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("run", "state", "model", "steps", "base", "tuned", "verdict"):
        table.add_column(title)
    for row in rows:
        base, tuned = row["base"] or {}, row["tuned"] or {}
        table.add_row(
            row["run"], row["state"], row["model"], str(row["steps"]), percent(base.get("exact")),
            percent(tuned.get("exact")), row["verdict"] or "",
        )  # fmt: skip
    out().print(table)


@runs_app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="RUN", help="Run folder or name.")],
    root: Root = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Show one run: state, result, newest numbers and warnings."""
    from tuneward.runs.folder import open_run
    from tuneward.runs.sinks import read_records

    run = open_run(name, root)
    records = read_records(run.metrics)
    steps = [record for record in records if record["kind"] == "step"]
    warnings = [record for record in records if record["kind"] == "warning"]
    summary = _summary(run) | {
        "folder": str(run.path),
        "manifest": run.read_json(run.manifest),
        "last_step": steps[-1] if steps else None,
        "warnings": warnings,
        "result": run.read_json(run.result) if run.result.is_file() else None,
    }
    if as_json:
        print_json(summary)
        return
    console = out()
    console.print(f"[bold]{run.name}[/]  {summary['state']}  {summary['model']}  {run.path}", soft_wrap=True)
    if summary["verdict"]:
        console.print(summary["verdict"], soft_wrap=True)
    if steps:
        last = steps[-1]
        console.print(
            f"step {last['step']}: reward {number(last.get('reward_mean'))}, exact {percent(last.get('exact'))}, "
            f"entropy {number(last.get('entropy'))}, {last['completion_length_mean']:.0f} tokens a completion"
        )
    for warning in warnings:
        console.print(f"step {warning['step']}: {warning['message']}", soft_wrap=True, markup=False)
    if run.report.is_file():
        console.print(f"Report   {run.report}", soft_wrap=True)


def _summary(run: RunFolder) -> dict[str, Any]:
    from tuneward.runs.sinks import read_records

    manifest = run.read_json(run.manifest)
    result = run.read_json(run.result) if run.result.is_file() else {}
    steps = [record["step"] for record in read_records(run.metrics) if record["kind"] == "step"]
    return {
        "run": run.name,
        "state": run.state,
        "created": manifest["created"],
        "model": manifest["model"]["name"],
        "steps": max(steps, default=0),
        "base": result.get("base"),
        "tuned": result.get("tuned"),
        "verdict": result.get("verdict"),
    }
