"""`report.html`: a whole run in one file that needs no network and no script, for someone who was not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import ChainableUndefined, Environment, PackageLoader

from tuneward.records import Record
from tuneward.runs.folder import write_atomically
from tuneward.runs.report_curves import charts_of
from tuneward.runs.report_reading import (
    MOST_PROBLEMS,
    RunData,
    choose_samples,
    flat,
    problems_of,
    read_run,
    sample_view,
    shorten,
)
from tuneward.runs.words import duration

MOST_EVENTS = 200
MOST_TABLE_ROWS = 40
COMPARED = (
    *("n", "excluded", "base_reward", "tuned_reward", "difference", "interval_low", "interval_high"),
    *("base_exact", "tuned_exact", "exact_lost", "exact_won", "p_value", "reward_p_value"),
)
"""Numbers without which the comparison is not shown."""


def write_report(run_dir: Path) -> Path:
    """Write `report.html` from what the run folder holds; parts that are absent are left out with a sentence.

    Raises:
        RunError: no readable metrics, or the disk is full.
    """
    run = read_run(run_dir)
    # Answers and dataset rows are other people's text: everything that enters the page is escaped.
    environment = Environment(
        loader=PackageLoader("tuneward.runs", "."),
        autoescape=True,
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(shorten=shorten, number=_number, percent=_percent, chance=_chance)
    page = environment.get_template("report.html.j2").render(_view(run))
    path = run_dir / "report.html"
    write_atomically(path, page.encode("utf-8", "replace").decode("utf-8"))
    return path


def _view(run: RunData) -> dict[str, Any]:
    result = run.result or {}
    comparison = _whole_comparison(result)
    notices = [_notice(record) for record in run.of_kind("warning", "event")]
    manifest = run.manifest or {}
    return {
        "run": run,
        "result": result,
        "comparison": comparison,
        "tone": _tone(comparison),
        "headline": _headline(run),
        "story": _story(run),
        "tiles": _tiles(run),
        "strip": _interval_strip(comparison),
        "charts": charts_of(run.of_kind("step"), run.of_kind("evaluation")),
        "numbers": _number_rows(run),
        "notices": notices
        if len(notices) <= MOST_EVENTS
        else notices[: MOST_EVENTS // 2] + notices[-MOST_EVENTS // 2 :],
        "hidden_notices": max(0, len(notices) - MOST_EVENTS),
        "samples": [sample_view(sample) for sample in choose_samples(run.samples or [])],
        "sample_count": len(run.samples or []),
        "data_fields": list(flat(run.data_report)) if run.data_report else [],
        "problems": problems_of(run.data_report or {})[:MOST_PROBLEMS],
        "provenance": [
            (section, list(flat(value)) if isinstance(value, Mapping) else [("", str(value))])
            for section, value in manifest.items()
            if value is not None and section not in ("run", "created")
        ],
        "created": manifest.get("created"),
    }


def _whole_comparison(result: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The comparison, unless it compared nothing or another version wrote it."""
    comparison = result.get("comparison") or {}
    return comparison if all(isinstance(comparison.get(name), int | float) for name in COMPARED) else None


def _notice(record: Record) -> dict[str, str]:
    code = str(record.get("code", "")).replace("_", " ")
    tone = str(record.get("severity", "warning")) if record["kind"] == "warning" else "event"
    return {"step": str(record.get("step", "")), "code": code, "tone": tone, "message": str(record.get("message", ""))}


def _headline(run: RunData) -> str:
    """The outcome in one short sentence; the details follow below it."""
    comparison = (run.result or {}).get("comparison")
    if comparison and comparison.get("verdict"):
        verdict = comparison["verdict"]
        than = " than the base model" if verdict in ("better", "worse") else ""
        return f"The tuned model is {verdict}{than}."
    if run.result:
        return "This run ended without a comparison against the base model."
    return "This run has no result yet: it is still going, or it was interrupted."


def _story(run: RunData) -> list[str]:
    """The comparison in words, and how the run went: two paragraphs at most."""
    result = run.result or {}
    verdict = (result.get("comparison") or {}).get("sentence")
    told = []
    steps = run.of_kind("step")
    if steps:
        seconds = result.get("train_seconds")
        took = f" in {duration(seconds)} of training" if seconds else ""
        total = result.get("total_seconds")
        whole = f" ({duration(total)} with loading and evaluations)" if total else ""
        told.append(f"It made {result.get('steps', steps[-1]['step'])} steps{took}{whole}.")
    if result.get("stopped_because"):
        told.append(f"It ended because {str(result['stopped_because']).removesuffix('.')}.")
    if "best_step" in result:
        best = result["best_step"]
        told.append(
            f"Validation reward was best after step {best}."
            if best
            else "No evaluation beat the base model's validation reward."
        )
    held_out = result.get("held_out") or {}
    if isinstance(held_out.get("difference"), int | float):
        told.append(
            f"The held-out grader, which nothing was trained on, gave {held_out['base_reward']:.3f} to the base model "
            f"and {held_out['tuned_reward']:.3f} to the tuned one ({held_out['difference']:+.3f}, 95 % interval "
            f"{held_out['interval_low']:+.3f} to {held_out['interval_high']:+.3f})."
        )
    memory = result.get("memory") or {}
    if memory.get("ratio"):
        measured, expected = (f"{memory[name] / 2**30:.2f}" for name in ("peak_memory_bytes", "expected_bytes"))
        told.append(f"Memory peaked at {measured} GiB; {expected} GiB were predicted for the lengths that occurred.")
    return [paragraph for paragraph in (verdict, " ".join(told)) if paragraph]


def _tiles(run: RunData) -> list[tuple[str, str, str]]:
    """(label, number, what it was before) of the headline numbers."""
    result = run.result or {}
    base, tuned = result.get("base") or {}, result.get("tuned") or {}
    evaluations = run.of_kind("evaluation")
    if not base and evaluations:
        first, last = evaluations[0], evaluations[-1]
        base = _evaluated(first) if first["step"] == 0 else {}
        tuned = _evaluated(last)
    tiles = []
    if tuned.get("exact") is not None:
        tiles.append(("Exact success, validation", _percent(tuned["exact"]), _before(base.get("exact"), _percent)))
    if tuned.get("reward") is not None:
        tiles.append(("Reward, validation", _number(tuned["reward"]), _before(base.get("reward"), _number)))
    if tuned.get("held_out") is not None:
        before = _before(base.get("held_out"), _number)
        tiles.append(("Held-out reward, validation", _number(tuned["held_out"]), before))
    if result.get("p_value") is not None:
        tiles.append(("p-value", _chance(result["p_value"]).removeprefix("= "), "chance of this without any effect"))
    steps = run.of_kind("step")
    if steps:
        spent = sum(record.get("timing", {}).get("seconds_step", 0.0) for record in steps)
        tiles.append(("Steps", str(len(steps)), f"{duration(spent)} in steps"))
    return tiles


def _evaluated(record: Record) -> dict[str, Any]:
    return {"exact": record.get("exact"), "reward": record.get("reward_mean"), "held_out": record.get("held_out")}


def _before(value: float | None, words: Any) -> str:
    return f"{words(value)} before training" if value is not None else ""


def _tone(comparison: Mapping[str, Any] | None) -> str:
    verdict = (comparison or {}).get("verdict")
    return verdict if verdict in ("better", "worse") else "neutral"


def _interval_strip(comparison: Mapping[str, Any] | None) -> dict[str, float] | None:
    """Percentages along a strip on which the difference and its interval are drawn around 0."""
    ends = [(comparison or {}).get(name) for name in ("interval_low", "difference", "interval_high")]
    known = [float(end) for end in ends if end is not None]
    if len(known) < 3:
        return None
    reach = max(abs(known[0]), abs(known[2]), 1e-9) * 1.25
    low, middle, high = (50 + 50 * value / reach for value in known)
    return {"low": low, "middle": middle, "width": high - low, "reach": reach}


def _number_rows(run: RunData) -> list[list[str]]:
    """The numbers behind the curves, thinned to a readable table."""
    steps = run.of_kind("step")
    stride = max(1, -(-len(steps) // MOST_TABLE_ROWS))
    validation = {record["step"]: record for record in run.of_kind("evaluation")}
    rows = []
    for record in steps[stride - 1 :: stride]:
        measured = validation.get(record["step"], {})
        numbers: Sequence[tuple[Record, str, Any]] = (
            (record, "reward_mean", _number),
            (measured, "reward_mean", _number),
            (record, "exact", _percent),
            (measured, "exact", _percent),
            (record, "entropy", _number),
            (record, "completion_length_mean", _number),
            (record, "grad_norm", _number),
            (record, "zero_signal_share", _percent),
            (record, "truncated_share", _percent),
            (record.get("timing", {}), "seconds_step", _number),
        )
        rows.append(
            [str(record["step"]), *(words(place[name]) if name in place else "" for place, name, words in numbers)]
        )
    return rows


def _number(value: float | None) -> str:
    if not isinstance(value, int | float):
        return "no score"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _chance(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"= {p_value:.3f}"


def _percent(value: float) -> str:
    return f"{value:.1%}"
