"""What went wrong in grading, by grader and kind. Source: OpenAI RFT contract, 3.7 (`errors.graders`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tuneward.jobs.grader_names import NamedGrader
from tuneward.records import Record
from tuneward.types import Json

KINDS = ("sample_parse_error", "invalid_variable_error", "other_error")
FURTHER_KINDS = {
    "python": ("python_grader_server_error", "python_grader_runtime_error"),
    "score_model": ("model_grader_server_error", "model_grader_refusal_error", "model_grader_parse_error"),
    "label_model": ("model_grader_server_error", "model_grader_refusal_error", "model_grader_parse_error"),
}


@dataclass(frozen=True, slots=True)
class Split:
    """What is known of a step's training samples, or of its validation samples."""

    name: str
    """`train` or `valid`."""
    record: Record
    """Empty when nothing was measured."""
    samples: int
    """Graded."""

    def share(self, grader: NamedGrader, kind: str) -> float | None:
        """Share of the samples with a fault; None when there are none. Faults that did not occur are not recorded."""
        part = grader.metric.removeprefix("metric/") + "/" if grader.metric.startswith("metric/") else ""
        return float(self.record.get(f"fault/{part}{kind}", 0.0)) if self.samples else None


def fault_numbers(splits: Sequence[Split], graders: Sequence[NamedGrader]) -> list[Json]:
    """Of each grader how often each kind of fault occurred, and in which share of the samples."""
    return [
        {"name": grader.name, "type": grader.type, **dict(_numbers(splits, grader))}
        for grader in graders
        if grader.has_faults
    ]


def parse_error_share(split: Split, graders: Sequence[NamedGrader]) -> float | None:
    """Share of samples that could not be read in the form that a grader needs, of the grader with the most of them."""
    shares = [split.share(grader, "sample_parse_error") for grader in graders if grader.has_faults]
    return max((share for share in shares if share is not None), default=None)


def _numbers(splits: Sequence[Split], grader: NamedGrader) -> Iterator[tuple[str, float | None]]:
    for split in splits:
        for kind in (*KINDS, *FURTHER_KINDS.get(grader.type, ())):
            share = split.share(grader, kind)
            yield f"{split.name}_{kind}_mean", share
            yield f"{split.name}_{kind}_count", None if share is None else round(share * split.samples)
