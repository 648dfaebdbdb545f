"""What a test of a reward is answered with."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tuneward.rewards.bench import BenchReport
from tuneward.rewards.functions.log import without_folders
from tuneward.rewards.trial import Trial
from tuneward.serve.api.model import ApiModel
from tuneward.types import Json, Receipt, Row, Sample, Score

SHOWN_CHARACTERS = 4000
"""Of a completion, and of each other text in an answer."""
DETAIL_BYTES = 20_000
LARGEST_ROW = 100_000


class TestReceipt(ApiModel):
    """What happened in one call of the grader."""

    grader: str
    attempts: int
    wall_ms: float
    cpu_ms: float
    peak_memory_bytes: int
    stdout: str
    """The end of what it printed."""
    stderr: str
    limits: dict[str, float]
    isolation: str
    """`sandbox`, `process` or `remote`; empty when no code ran."""


class TestSample(ApiModel):
    """One answer and its score."""

    row: int
    """Number in `rows`."""
    completion: str
    """Cut after 4,000 characters."""
    reward: float | None
    """Null: the grader failed."""
    held_out: float | None
    """Of the held-out grader."""
    components: dict[str, float]
    """Parts of the reward."""
    metrics: dict[str, float]
    """What was only measured."""
    verdict: Literal["ok", "error", "timeout", "oom", "invalid"]
    message: str
    """What went wrong; empty when nothing did."""
    details: dict[str, Any]
    """What this kind of grader adds, such as a judge's reasons."""
    receipt: int
    """Number in `receipts`."""


class TestRow(ApiModel):
    """A row that was used."""

    id: str
    prompt: str
    """Its last message."""
    reference_answer: str | None
    """As text; objects as JSON."""
    row: dict[str, Any] | None
    """As a line of a file would hold it, to be sent as one of `rows`; null: larger than 100 kB."""


class CheckExample(ApiModel):
    """One answer that shows a finding."""

    row_id: str
    completion: str
    score: float | None
    against: str | None
    against_score: float | None


class CheckFinding(ApiModel):
    """What one check of the bench found."""

    check: str
    verdict: Literal["pass", "warn", "fail", "not applicable"]
    message: str
    advice: str | None
    example: CheckExample | None


class CheckReport(ApiModel):
    """What the bench found."""

    verdict: Literal["pass", "warn", "fail"]
    """`fail`: a job with this reward would not start."""
    rows: int
    scored: int
    """Answers that were made up and scored for it."""
    seconds: float
    rendering: str | None
    """How good answers were made of the references."""
    checks: list[CheckFinding]


class RewardTest(ApiModel):
    """A reward that was tried."""

    grader: str | None
    """Name and content hash; null: it could not be built."""
    problem: str | None
    """Why nothing, or not everything, could be tried."""
    seconds: float
    rows: list[TestRow]
    samples: list[TestSample]
    receipts: list[TestReceipt]
    report: CheckReport | None


def told(trial: Trial, samples: Sequence[Sample], rows: Sequence[Row]) -> RewardTest:
    """The answer."""
    numbers: dict[str, int] = {}
    receipts: list[TestReceipt] = []
    shown: list[TestSample] = []
    others: Sequence[Score | None] = trial.held_out or [None] * len(samples)
    for sample, score, other in zip(samples, trial.scores, others, strict=False):
        receipt = told_receipt(score.receipt)
        number = numbers.setdefault(receipt.model_dump_json(), len(receipts))
        if number == len(receipts):
            receipts.append(receipt)
        shown.append(_sample(sample, score, other, number))
    return RewardTest(
        grader=trial.grader and told_text(trial.grader),
        problem=trial.problem and told_text(trial.problem),
        seconds=trial.seconds,
        rows=[_row(row) for row in rows],
        samples=shown,
        receipts=receipts,
        report=trial.report and told_report(trial.report),
    )


def _sample(sample: Sample, score: Score, other: Score | None, receipt: int) -> TestSample:
    metrics = {told_text(name): value for name, value in score.metrics.items() if math.isfinite(value)}
    return TestSample(
        row=int(sample.id.partition("/")[0]),
        completion=told_text(sample.completion),
        reward=_finite(score.reward),
        held_out=None if other is None else _finite(other.reward),
        components={name: value for name, value in metrics.items() if name in score.components},
        metrics={name: value for name, value in metrics.items() if name not in score.components},
        verdict=score.receipt.verdict.value,
        message=told_text(score.receipt.message),
        details=_details(score.details),
        receipt=receipt,
    )


def told_receipt(receipt: Receipt) -> TestReceipt:
    """The wire form of a receipt."""
    return TestReceipt(
        grader=told_text(receipt.grader),
        attempts=receipt.attempts,
        wall_ms=receipt.wall_s * 1000,
        cpu_ms=receipt.cpu_s * 1000,
        peak_memory_bytes=receipt.peak_memory_bytes,
        stdout=_end(receipt.stdout_tail),
        stderr=_end(receipt.stderr_tail),
        limits=dict(receipt.limits),
        isolation=receipt.isolation,
    )


def _row(row: Row) -> TestRow:
    content = row.messages[-1].get("content") if row.messages else ""
    reference = row.reference_answer
    if reference is not None and not isinstance(reference, str):
        reference = json.dumps(reference, ensure_ascii=False)
    return TestRow(
        id=told_text(row.id),
        prompt=told_text(content if isinstance(content, str) else ""),
        reference_answer=None if reference is None else told_text(reference),
        row=_line(row),
    )


def _line(row: Row) -> dict[str, Any] | None:
    fields: dict[str, Json] = {"id": row.id, "messages": [dict(message) for message in row.messages]}
    if row.reference_answer is not None:
        fields["reference_answer"] = row.reference_answer
    if row.metadata:
        fields["metadata"] = dict(row.metadata)
    if row.tools:
        fields["tools"] = [dict(tool) for tool in row.tools]
    return _clean(fields) if len(json.dumps(fields)) <= LARGEST_ROW else None


def told_report(report: BenchReport) -> CheckReport:
    """The wire form of a report."""
    return CheckReport.model_validate(_clean(report.to_json()))


def _details(details: Mapping[str, Json]) -> dict[str, Any]:
    """Without what would make the answer large; graders elsewhere may add whatever they like."""
    kept = {name: value for name, value in details.items() if len(json.dumps(value, default=str)) <= DETAIL_BYTES}
    cleaned: dict[str, Any] = _clean(kept)
    return cleaned


def _clean(value: Json) -> Json:
    """A JSON value that any client can read: without halves of characters, and null for NaN and infinity."""
    if isinstance(value, str):
        return _whole(without_folders(value))
    if isinstance(value, float):
        return _finite(value)
    if isinstance(value, Mapping):
        return {_whole(str(key)): _clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(inner) for inner in value]
    return value


def told_text(text: str) -> str:
    """What somebody wrote, cut to what is shown, in characters that any client can read."""
    return _whole(without_folders(text[:SHOWN_CHARACTERS]))


def _end(text: str) -> str:
    return _whole(without_folders(text))[-SHOWN_CHARACTERS:]


def _whole(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
