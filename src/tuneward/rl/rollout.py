"""Sampling and scoring a batch of prompts, at the same time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from tuneward.engine.engine import Engine
from tuneward.engine.record import ForwardRecord
from tuneward.engine.sampler import SamplingParams
from tuneward.rl.scoring import ScoringQueue
from tuneward.types import Completion, Grader, Group, Prompt, Sample, Score

SCORING_THREADS = 8
"""Calls to the grader at once; the grader itself bounds its processes."""
SAMPLES_PER_CALL = 8
"""In one call while the grader keeps up, or a whole group's; a backlog is shared among the threads."""

OnSample = Callable[[Sample, int], None]
"""Called with each sample and its index in the group, as soon as it can be scored; must return at once."""


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
    on_sample: OnSample | None = None,
) -> Rollout:
    """Sample completions of each prompt; each is scored as soon as it has ended, while others still decode.

    Args:
        engine: samples.
        grader: scores; in which calls it gets the samples depends on when they end.
        prompts: distinct ids.
        samples_per_prompt: completions of each.
        params: temperature and limits.
        run_seed, step: identity of this rollout.
        record: cleared, then keeps what the model computes, for an update of this very policy.
        on_sample: sees each sample as it is handed to the grader.

    Raises:
        NonFiniteError: the model produced NaN or infinite logits.
        GraderError: the grader cannot score anything at all.
    """
    started = time.perf_counter()
    if record is not None:
        record.clear()
    most = max(samples_per_prompt, SAMPLES_PER_CALL)
    with closing(ScoringQueue(grader, threads=SCORING_THREADS, most=most)) as queue:

        def score(prompt: Prompt, completion: Completion) -> None:
            sample = Sample(_sample_id(step, prompt, completion), prompt.row, completion.text)
            queue.add(sample)
            if on_sample is not None:
                on_sample(sample, completion.index)

        groups = engine.sample(
            prompts, samples_per_prompt, params, run_seed=run_seed, step=step, on_completion=score, record=record
        )
        sampled = time.perf_counter()
        found = queue.finish()
    scores = tuple(
        tuple(found[_sample_id(step, group.prompt, completion)] for completion in group.completions) for group in groups
    )
    return Rollout(tuple(groups), scores, sampled - started, time.perf_counter() - sampled, record)


def _sample_id(step: int, prompt: Prompt, completion: Completion) -> str:
    return f"{step}/{prompt.id}/{completion.index}"
