"""What was predicted of a run's memory against what it took."""

from __future__ import annotations

import torch

from tuneward.engine.planner import GIB, Job
from tuneward.models.memory import peak_resident_bytes, resident_bytes
from tuneward.records import Record
from tuneward.runs.plan import Plan

TOLERANCE = 0.15
SMALL_BYTES = 256 << 20
"""Smaller differences are the libraries', whatever share they are."""


class MemoryCheck:
    """Watches the steps of one sitting; made when the model is loaded.

    Args:
        job: as planned.
        plan: what was chosen.
    """

    def __init__(self, job: Job, plan: Plan):
        self._job = job
        self._plan = plan
        self._longest_completion = 0
        self._step_tokens = 0
        # What a process took long before the run, and gave back, says nothing about the run.
        had = 0 if job.device.on_gpu else peak_resident_bytes()
        self._foreign_peak = had if had - resident_bytes() > SMALL_BYTES else 0

    def note(self, record: Record) -> None:
        """Remember the lengths of a step, from its record."""
        self._longest_completion = max(self._longest_completion, record["completion_length_max"])
        self._step_tokens = max(self._step_tokens, record["distinct_tokens"] + record["prompt_tokens"])

    @property
    def measured_bytes(self) -> int | None:
        """Peak of this sitting; None where it cannot be told."""
        if self._job.device.on_gpu:
            return int(torch.cuda.max_memory_allocated())
        peak = peak_resident_bytes()
        return peak if peak > self._foreign_peak else None

    @property
    def expected_bytes(self) -> int | None:
        """Predicted for the lengths that have occurred; None before the first step."""
        if not self._step_tokens:
            return None
        lengths = {"longest_completion": self._longest_completion, "step_tokens": self._step_tokens}
        return self._job.memory_of(self._plan.budgets, **lengths).peak_bytes

    def to_json(self) -> dict[str, float | None]:
        """Bytes predicted for the longest lengths, for those that occurred, and measured; measured / expected."""
        measured, expected = self.measured_bytes, self.expected_bytes
        return {
            "predicted_bytes": self._plan.peak_memory_bytes,
            "expected_bytes": expected,
            "peak_memory_bytes": measured,
            "ratio": round(measured / expected, 3) if measured and expected else None,
        }

    def warning(self) -> str | None:
        """A sentence when measured and expected are far apart."""
        measured, expected = self.measured_bytes, self.expected_bytes
        if measured is None or expected is None:
            return None
        if abs(measured - expected) <= max(TOLERANCE * expected, SMALL_BYTES):
            return None
        return (
            f"Memory peaked at {measured / GIB:.1f} GiB, while {expected / GIB:.1f} GiB were predicted for the lengths "
            "that occurred; set training.memory_gb if that is more than this machine should give."
        )
