"""How long a job will take: by what earlier jobs took, or, before there are any, by what the machine can do at best."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import torch

from tuneward.engine.roofline import MachineRates, measure_rates
from tuneward.engine.shape import ModelShape
from tuneward.models.load import default_device
from tuneward.runs.forecast import Work
from tuneward.runs.speed import PastSpeed

BEST_SHARE, WORST_SHARE = 0.6, 0.2
"""Of the machine's best that steps reach; measured: 0.4 to 0.6 with short prompts, less where little is shared."""
FP32_BYTES, BF16_BYTES = 4, 2
MEASURED_FOR_S = 300.0

_turn = threading.Lock()
_measured: tuple[float, MachineRates] | None = None
"""When, and what."""


@dataclass(frozen=True, slots=True)
class TimeForecast:
    """Seconds, without early stopping."""

    step_s: float
    job_s: float
    low_s: float
    high_s: float
    """Of the whole job: most will end between these two."""
    basis: str
    """What this was told from, for people."""
    is_measured: bool
    """By earlier jobs, not by arithmetic."""


def time_of(work: Work, shape: ModelShape, past: PastSpeed | None) -> TimeForecast:
    """The time of a job, evaluations included."""
    if past is not None:
        return _by_experience(work, past)
    step, evaluation = _least_seconds(work, shape, machine_rates())
    least = work.steps * step + work.evaluations * evaluation
    # Completions of unknown length: from a quarter of the usual time to twice it, as they may all be cut at the limit.
    low, high = least / BEST_SHARE / 2, 2 * least / WORST_SHARE
    middle = (BEST_SHARE + WORST_SHARE) / 2
    where = "GPU" if default_device().type == "cuda" else "processor"
    return TimeForecast(
        step / middle,
        least / middle,
        low,
        high,
        f"Reckoned from the size of the model and the speed of this machine's {where}, as no job with this model has "
        "trained here yet. The reward's own time is not in it.",
        is_measured=False,
    )


def machine_rates() -> MachineRates:
    """Of this machine: the best of some measurements, as a busy moment says little; each takes some tenths of a second,
    and they are minutes apart."""
    global _measured
    now = time.monotonic()
    with _turn:
        if _measured is None or now > _measured[0] + MEASURED_FOR_S:
            device = default_device()
            found = measure_rates(device, torch.bfloat16 if device.type == "cuda" else torch.float32)
            before = found if _measured is None else _measured[1]
            best = MachineRates(max(found.flops, before.flops), max(found.bytes_per_second, before.bytes_per_second))
            _measured = now, best
        return _measured[1]


def _by_experience(work: Work, past: PastSpeed) -> TimeForecast:
    tokens = work.trained_tokens + work.evaluations * work.validation_rows * work.completion_tokens
    jobs = "the last job" if past.jobs == 1 else f"the last {past.jobs} jobs"
    return TimeForecast(
        past.median * work.step_tokens,
        past.median * tokens,
        past.low * tokens,
        past.high * tokens,
        f"From {past.steps} steps of {jobs} with this model here, the reward's time included.",
        is_measured=True,
    )


def _least_seconds(work: Work, shape: ModelShape, rates: MachineRates) -> tuple[float, float]:
    """Bounds of a step and of an evaluation, as `engine.roofline` reckons them, for mean lengths."""
    body = shape.hidden * (shape.attention + shape.feed_forward)
    head = shape.hidden * shape.vocabulary
    on_gpu = default_device().type == "cuda"
    reading = (body + head) * (BF16_BYTES if on_gpu else FP32_BYTES) / rates.bytes_per_second

    def sampling(prompts: int, samples: int) -> float:
        rows = prompts * samples
        prefill = 2 * prompts * work.prompt_tokens * body / rates.flops
        one_pass = max(reading, 2 * rows * (body + head) / rates.flops)
        return prefill + work.completion_tokens * one_pass

    learned = work.rows_per_step * work.samples_per_prompt * work.completion_tokens
    read = work.rows_per_step * work.prompt_tokens
    update = 4 * ((read + learned) * body + learned * head) / rates.flops
    if work.samples_per_prompt == 1:  # conversations, which are only read
        scored = work.validation_rows * (work.prompt_tokens + work.completion_tokens)
        return update, 2 * scored * (body + head) / rates.flops
    return update + sampling(work.rows_per_step, work.samples_per_prompt), sampling(work.validation_rows, 1)
