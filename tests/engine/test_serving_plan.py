"""A serving pass and the library's own attention, one sequence at a time, are the same mathematics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.engine.test_equivalence import EAGER_ONLY, all_double  # noqa: F401
from tests.tiny import ARCHITECTURES, VOCABULARY, tiny_model
from torch import Tensor

from tuneward.engine.attention import ATTENTION
from tuneward.engine.forward import PackedModel
from tuneward.engine.serving.plan import ServingPlan, Span
from tuneward.engine.serving.pool import KeyValuePool

SEQUENCES = {name: np.random.default_rng(length).integers(3, VOCABULARY, length) for name, length in
             (("short", 3), ("middle", 40), ("grown", 67), ("long", 200))}  # fmt: skip
PASSES: list[list[tuple[str, int]]] = [
    [("middle", 37), ("short", 1)],
    [("short", 1), ("long", 150), ("middle", 1)],
    [("middle", 1), ("grown", 62), ("short", 1), ("long", 20)],
    [("long", 29), ("grown", 1), ("middle", 1)],
    [("grown", 1), ("long", 1)],  # from here on "grown" outgrows its shelf of 64
    [("grown", 2)],
    [("grown", 1)],
]
"""(sequence, tokens fed) of each pass: prompts in stretches, single tokens, some resting, some joining late."""


def naive_logits(name: str) -> dict[str, Tensor]:
    model = tiny_model(name, attention="eager" if name in EAGER_ONLY else "sdpa", dtype=torch.float64)
    return {key: model(input_ids=torch.from_numpy(tokens)[None]).logits[0] for key, tokens in SEQUENCES.items()}


@pytest.mark.usefixtures("all_double")
@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_logits_equal_the_naive_path_whoever_shares_the_pass(name: str) -> None:
    model = PackedModel(tiny_model(name, attention=ATTENTION, dtype=torch.float64))
    pool = KeyValuePool(1000, 256)
    fed = dict.fromkeys(SEQUENCES, 0)
    expected = naive_logits(name)

    for chosen in PASSES:
        spans = [Span(key, fed[key], count) for key, count in chosen]
        for span in spans:
            assert pool.seat(span.row, span.start + span.count)
        parts = [np.arange(span.start, span.start + span.count) for span in spans]
        tokens = np.concatenate([SEQUENCES[key][part] for (key, _), part in zip(chosen, parts, strict=True)])
        plan = ServingPlan(pool, spans, model.device)
        logits = model.logits(tokens, np.concatenate(parts), plan, torch.arange(len(tokens)))

        theirs = torch.cat([expected[key][part] for (key, _), part in zip(chosen, parts, strict=True)])
        assert float((logits - theirs).norm()) <= 1e-10 * float(theirs.norm())
        for key, count in chosen:
            fed[key] += count
    assert fed == {"short": 3, "middle": 40, "grown": 67, "long": 200}


def filled(pool: KeyValuePool, row: str, tokens: int, value: float) -> None:
    assert pool.seat(row, tokens)
    pool.fill(row, {0: (torch.full((2, tokens, 3), value), torch.full((2, tokens, 4), -value))}, tokens)


def values(pool: KeyValuePool, row: str, tokens: int) -> set[float]:
    keys, others = pool.view(row)[0]
    return {*keys[:, :tokens].flatten().tolist(), *(-others[:, :tokens]).flatten().tolist()}


def test_rows_keep_their_contents_while_others_come_grow_and_go() -> None:
    pool = KeyValuePool(64 * 8, 256)
    for number, row in enumerate("abcd", start=1):
        filled(pool, row, 60, number)
    pool.free("a")
    assert pool.seat("b", 65)
    filled(pool, "e", 10, 5)
    assert pool.seat("d", 100)

    assert [values(pool, row, 60) for row in "bcd"] == [{2.0}, {3.0}, {4.0}]
    assert values(pool, "e", 10) == {5.0}
    assert pool.reserved == 128 + 64 + 128 + 64


def test_pool_never_takes_more_than_its_limit() -> None:
    pool = KeyValuePool(64 * 4, 256)
    for row in "abcd":
        assert pool.seat(row, 64)
    assert not pool.seat("e", 1)
    assert not pool.seat("a", 65)  # would take 128 in the place of 64
    pool.free("d")
    assert pool.seat("a", 65)
    assert pool.reserved == pool.allocated == 256
    for row in "abc":
        pool.free(row)
    assert pool.seat("long", 256)  # unused slots of other sizes make room
    assert pool.allocated == 256
    with pytest.raises(ValueError, match="cannot hold"):
        KeyValuePool(100, 256)
