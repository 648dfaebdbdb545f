"""Completions of a model for the test of a reward."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tuneward.engine.sampler import SamplingParams
from tuneward.rewards.bench import Sampler
from tuneward.runs.prepare import engine_for
from tuneward.types import Prompt, Row

SEED = 0
"""The same answers every time, so that two tests of a reward can be compared."""


def sampler_of(name: str, *, root: Path, max_tokens: int) -> Sampler:
    """Who samples completions of a model, at temperature 1, as training does.

    Args:
        name: a run (its tuned model) or a model.
        root: where runs are.
        max_tokens: longest completion.

    Raises:
        RunError, ModelError: neither a run nor a model, or damaged.
    """
    engine = engine_for(name, root=root)
    params = SamplingParams(max_tokens)

    def sample(rows: Sequence[Row], count: int) -> list[list[str]]:
        prompts = [Prompt(row, engine.tokenizer.render(row)) for row in rows]
        groups = engine.sample(prompts, count, params, run_seed=SEED, step=0)
        return [[completion.text for completion in group.completions] for group in groups]

    return sample
