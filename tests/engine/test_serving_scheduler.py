"""Who takes part in a pass: fairness, limits, shared beginnings, and rows that give up their place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import zeros

from tuneward.engine.serving.pool import KeyValuePool
from tuneward.engine.serving.prefixes import PrefixStore
from tuneward.engine.serving.request import ServingRequest
from tuneward.engine.serving.row import Row, Ticket
from tuneward.engine.serving.scheduler import Scheduler
from tuneward.engine.serving.text import TextStream


def row(prompt: range | tuple[int, ...], *, index: int = 0, ticket: Ticket | None = None, adapter: Any = None) -> Row:
    request = ServingRequest(tuple(prompt), adapter=adapter)
    text = TextStream(lambda _: "")
    return Row(ticket or Ticket(request, lambda _: None, lambda: None), index, seed=0, limit=1000, text=text)


def scheduler(*rows: Row, tokens: int = 4096, keep: int = 0, **limits: int) -> Scheduler:
    made = Scheduler(
        KeyValuePool(tokens, min(tokens, 1024)), PrefixStore(keep), **{"max_rows": 8, "pass_tokens": 64} | limits
    )
    made.waiting.extend(rows)
    return made


def run_pass(scheduler: Scheduler) -> dict[Row, int]:
    """A pass without a model: what was fed is stored, and who is ready draws token 7."""
    chosen = scheduler.next_pass()
    for chosen_row, count in chosen:
        shelf, slot = scheduler.pool.place(chosen_row)
        assert shelf.tokens >= chosen_row.cached + count
        shelf.layer(0, zeros(1, 1, 1), zeros(1, 1, 1))[0][slot, 0, chosen_row.cached : chosen_row.cached + count] = 1
        is_ready = chosen_row.pending == count
        chosen_row.cached += count
        if is_ready:
            chosen_row.answer.append(7)
    return dict(chosen)


def test_a_long_prompt_is_read_in_stretches_while_answers_flow() -> None:
    short, long = row(range(5)), row(range(100, 300))
    made = scheduler(short, long)
    assert run_pass(made) == {short: 5, long: 59}
    assert run_pass(made) == {short: 1, long: 63}


def test_rows_of_one_adapter_lie_together() -> None:
    first, second = object(), object()
    rows = [row((n,), adapter=adapter) for n, adapter in enumerate([first, None, second, first, None, second])]
    adapters = [chosen.adapter for chosen in run_pass(scheduler(*rows))]
    assert adapters[:2] == [None, None]
    assert adapters[2] is adapters[3]
    assert adapters[4] is adapters[5]


def test_a_prompt_that_another_row_is_reading_is_copied_not_read_again() -> None:
    first, second, other = row(range(50)), row((*range(40), 99)), row(range(50), adapter=object())
    made = scheduler(first, second, other, pass_tokens=200)
    assert run_pass(made) == {first: 50, other: 50}  # the same tokens under another adapter are other keys and values
    assert run_pass(made) == {second: 1, first: 1, other: 1}
    assert second.ticket.cached_tokens == 40


def test_an_ended_answer_shortens_the_next_turn_of_its_conversation() -> None:
    turn = row(range(30))
    made = scheduler(turn, keep=100)
    for _ in range(3):
        run_pass(made)
    made.end(turn)
    following = row((*range(30), 7, 7, 50, 51))
    made.waiting.append(following)
    assert run_pass(made) == {following: 2}
    assert following.ticket.cached_tokens == 32
    assert bool((made.pool.view(following)[0][0][0, :34] == 1).all())


def test_kept_beginnings_stay_within_their_limit() -> None:
    made = scheduler(keep=100)
    for start in range(0, 1000, 100):
        turn = row(range(start, start + 40))
        made.waiting.append(turn)
        run_pass(made)
        made.end(turn)
    assert made._prefixes.tokens == 80


def test_a_pass_must_have_room_for_prompts() -> None:
    with pytest.raises(ValueError, match="must exceed"):
        scheduler(max_rows=64)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.integers(1, 150), st.integers(1, 100)), min_size=1, max_size=12), st.integers(256, 600))
def test_every_row_ends_and_the_pool_keeps_its_limit_however_short_it_is(
    sizes: list[tuple[int, int]], limit: int
) -> None:
    rows = {row(range(n % 3 * 1000, n % 3 * 1000 + prompt)): answer for n, (prompt, answer) in enumerate(sizes)}
    made = scheduler(*rows, tokens=limit, keep=200)
    passes = 0
    while made.has_work:
        chosen = run_pass(made)
        passes += 1
        assert chosen
        assert passes < 20_000
        assert made.pool.reserved <= made.pool.allocated <= limit
        for done in [done for done in made.live if len(done.answer) == rows[done]]:
            made.end(done)
    assert made.pool.reserved == 0
    assert all(len(done.answer) == answer for done, answer in rows.items())
