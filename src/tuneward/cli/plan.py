"""`tuneward plan`: what a job would take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tuneward.cli.common import AsJson, Overrides, out, print_json
from tuneward.config import load_config

if TYPE_CHECKING:
    from rich.console import Console

    from tuneward.runs.foresee import Foresight
    from tuneward.runs.probe import TimePlan

GIB = 2**30


def plan(
    config: Annotated[Path, typer.Argument(help="YAML configuration.")],
    probe: Annotated[bool, typer.Option("--probe", help="Load the model and measure it for 20 seconds.")] = False,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Predict the memory of a job, and with --probe its time, without starting it."""
    from tuneward.runs.foresee import foresee

    foresight = foresee(load_config(config, tuple(overrides or ())), with_probe=probe)
    if as_json:
        print_json(foresight.to_json())
        return
    console = out()
    _show_memory(console, foresight)
    if foresight.time is not None:
        _show_time(console, foresight.time)


def _show_memory(console: Console, foresight: Foresight) -> None:
    from rich.table import Table

    from tuneward.runs.plan import memory_table

    memory, plan = foresight.memory, foresight.plan
    table = Table("GiB", *memory.phases, box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for part, by_phase in memory_table(memory):
        table.add_row(part, *(f"{count / GIB:.2f}" if count else "" for count in by_phase.values()))
    table.add_row("all", *(f"{memory.phase_bytes(phase) / GIB:.2f}" for phase in memory.phases), style="bold")
    console.print(table)
    limit = foresight.limit
    most = f"; {limit.count / GIB:.2f} GiB {limit.source}" if limit.count is not None else ""
    console.print(
        f"Peak {memory.peak_bytes / GIB:.2f} GiB in the {memory.peak_phase}, with the longest prompts and completions"
        f"{most}.",
        soft_wrap=True,
    )
    kept = f"{plan.record_tokens} tokens kept for the update" if plan.record_tokens else "nothing kept for the update"
    console.print(
        f"{plan.token_budget} tokens per micro-batch, {kept}, {plan.max_rows} completions decoded together at most, "
        f"{'merged' if plan.merged else 'unmerged'} weights in sampling.",
        soft_wrap=True,
    )


def _show_time(console: Console, time: TimePlan) -> None:
    console.print(
        f"A step takes about {time.step_s:.1f} s: {time.rollout_s:.1f} s of sampling (completions of "
        f"{time.completion_tokens:.0f} tokens), {time.update_s:.1f} s of update if every group has signal, and the "
        f"wait for the reward. An evaluation takes about {time.evaluation_s:.1f} s.",
        soft_wrap=True,
    )
    console.print(
        f"{time.steps} steps and {time.evaluations} evaluations: about {time.job_s / 3600:.2f} hours at most, "
        f"without early stopping. Measured for {time.probe_s:.0f} s: {time.rollout_bound_fraction:.0%} of this "
        f"machine's best in sampling, {time.update_bound_fraction:.0%} in updates.",
        soft_wrap=True,
    )
