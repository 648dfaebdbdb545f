"""Drawing for rows of different settings: each follows its own, as if it were alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from scipy import stats
from torch import Tensor

from tuneward.engine.serving.draw import LIKELY, RowDraw, draw_rows

PLAIN = RowDraw(
    seed=0,
    position=0,
    temperature=1.0,
    top_p=1.0,
    top_logprobs=None,
    bias={},
    frequency_penalty=0.0,
    presence_penalty=0.0,
    answer=(),
)


def tokens(logits: Tensor, row: RowDraw, n: int) -> Tensor:
    drawn = draw_rows(logits.repeat(n, 1), [replace(row, seed=seed, position=seed % 7) for seed in range(n)])
    return torch.tensor([one.token for one in drawn if one is not None])


def nucleus(probabilities: list[float], top_p: float) -> dict[int, float]:
    """The likeliest tokens, one after another until their sum reaches top_p."""
    kept: dict[int, float] = {}
    for token in sorted(range(len(probabilities)), key=lambda token: -probabilities[token]):
        if sum(kept.values()) >= top_p:
            break
        kept[token] = probabilities[token]
    return {token: share / sum(kept.values()) for token, share in kept.items()}


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (1.0, 0.6), (0.5, 0.9), (2.0, 1e-9)])
def test_tokens_follow_temperature_and_nucleus(temperature: float, top_p: float) -> None:
    logits = torch.tensor([0.1, 2.0, 1.5, -1.0, 0.7, 1.4])
    expected = nucleus((logits / temperature).softmax(-1).tolist(), top_p)
    drawn = tokens(logits, replace(PLAIN, temperature=temperature, top_p=top_p), 4000)
    counts = drawn.bincount(minlength=6).tolist()
    assert {token for token, count in enumerate(counts) if count} == set(expected)
    if len(expected) > 1:
        observed = [counts[token] for token in expected]
        assert stats.chisquare(observed, [4000 * share for share in expected.values()]).pvalue > 1e-3


def test_a_nucleus_of_more_tokens_than_are_looked_at_first_is_whole() -> None:
    wide = torch.zeros(3 * LIKELY)
    wide[-LIKELY:] = -20
    drawn = tokens(wide, replace(PLAIN, top_p=0.999), 3000)
    assert int(drawn.max()) < 2 * LIKELY
    assert len(drawn.unique()) > 1.2 * LIKELY


def test_rows_of_one_pass_keep_their_own_settings() -> None:
    logits = torch.tensor([[1.0, 3.0, 2.0]]).repeat(5, 1)
    logits[4, 0] = torch.nan
    greedy = replace(PLAIN, temperature=0.0)
    rows = [
        greedy,
        replace(greedy, bias={1: -100.0, 9: 5.0}),
        replace(greedy, answer=(1, 1, 1), frequency_penalty=0.5),
        replace(PLAIN, top_p=1e-9, top_logprobs=2),
        greedy,
    ]
    first, biased, penalised, likeliest, broken = draw_rows(logits, rows)
    assert first is not None
    assert biased is not None
    assert penalised is not None
    assert likeliest is not None
    assert broken is None
    assert [first.token, biased.token, penalised.token, likeliest.token] == [1, 2, 2, 1]
    assert [token for token, _ in likeliest.top] == [1, 2]
    assert likeliest.logprob == likeliest.top[0][1] == pytest.approx(float(torch.tensor([1.0, 3, 2]).log_softmax(0)[1]))
