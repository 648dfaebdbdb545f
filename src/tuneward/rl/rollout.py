"""Sampling and scoring a batch of prompts, at the same time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from tuneward.engine.engine import Engine
from tuneward.engine.record import ForwardRecord
from tuneward.engine.sampler import SamplingParams
from tuneward.types import Grader, Group, Prompt, Sample, Score

SCORING_THREADS = 4
"""Groups handed to the grader at once; the grader itself bounds its processes."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """Groups with the scores of their completions."""

    groups: tuple[Group, ...]
    scores: tuple[tuple[Score, ...], ...]
    """Per group, one score per completion, in order."""
    seconds_sampling: float
    seconds_waiting: float
    """Time spent on the grader after sampling had ended."""
    record: ForwardRecord | None = None
    """What the model computed while sampling, for the update; None when it was not kept."""

    @property
    def all_scores(self) -> list[Score]:
        return [score for scores in self.scores for score in scores]


def roll_out(
    engine: Engine,
    grader: Grader,
    prompts: Sequence[Prompt],
    samples_per_prompt: int,
    params: SamplingParams,
    *,
    run_seed: int,
    step: int,
    record: ForwardRecord | None = None,
) -> Rollout:
    """Sample completions of each prompt; a group is scored as soon as it is whole, while others still decode.

    Args:
        record: cleared, then keeps what the model computes, for an update of this very policy.

    Raises:
        NonFiniteError: the model produced NaN or infinite logits.
        GraderError: the grader cannot score anything at all.
    """
    started = time.perf_counter()
    if record is not None:
        record.clear()
    pending: dict[str, Future[list[Score]]] = {}
    with ThreadPoolExecutor(SCORING_THREADS, thread_name_prefix="grader") as pool:

        def score(group: Group) -> None:
            samples = [
                Sample(f"{step}/{group.id}/{completion.index}", group.prompt.row, completion.text)
                for completion in group.completions
            ]
            pending[group.id] = pool.submit(grader.score, samples)

        groups = engine.sample(
            prompts, samples_per_prompt, params, run_seed=run_seed, step=step, on_group=score, record=record
        )
        sampled = time.perf_counter()
        scores = tuple(tuple(pending[group.id].result()) for group in groups)
    return Rollout(tuple(groups), scores, sampled - started, time.perf_counter() - sampled, record)
