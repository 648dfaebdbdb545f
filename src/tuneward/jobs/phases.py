"""Phases of a job, as callers see them. Source: Bedrock RFT contract, 1.3 (`statusDetails`)."""

from __future__ import annotations

import time
from typing import Literal

from tuneward.store.tables import Job

Phase = Literal["validation", "data_processing", "training"]


def begin_phase(job: Job, phase: Phase) -> None:
    """A phase begins, unless it has begun before; those before it have ended."""
    now = time.time()
    end_phases(job, now)
    old = job.phases.get(phase, {})
    job.phases = {**job.phases, phase: {"started_at": old.get("started_at", now), "ended_at": None}}
    job.updated_at = now


def end_phases(job: Job, now: float | None = None) -> None:
    """Whatever was under way has ended."""
    ended = time.time() if now is None else now
    job.phases = {
        name: {**phase, "ended_at": ended if phase["ended_at"] is None else phase["ended_at"]}
        for name, phase in job.phases.items()
    }
