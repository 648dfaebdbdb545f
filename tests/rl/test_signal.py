"""Which completions are trained on, and the step's denominators."""

from __future__ import annotations

import pytest
from tests.rollouts import FAILED, lengths_rollout

from tuneward.config import TrainingConfig
from tuneward.rl.signal import Signal, find_signal

PLAIN = TrainingConfig(max_completion_tokens=16)


def picked(signal: Signal) -> list[tuple[int, int, int]]:
    """(group, completion, length) of what is trained on; the prompt's last token names the group."""
    return [
        (item.prompt_ids[-1] - 10, item.completion.index, len(item.completion.token_ids)) for item in signal.trainable
    ]


def test_denominators_count_every_completion_that_has_a_baseline() -> None:
    signal = find_signal(lengths_rollout([[1, 0], [0.5, 0.2]], [[3, 4], [5, 6]]), PLAIN)
    assert (signal.totals.tokens, signal.totals.sequences, signal.totals.max_completion_tokens) == (18, 4, 16)
    assert picked(signal) == [(0, 0, 3), (0, 1, 4), (1, 0, 5), (1, 1, 6)]


def test_a_group_of_equal_rewards_costs_nothing_but_stays_in_the_denominators() -> None:
    signal = find_signal(lengths_rollout([[1, 0], [1, 1], [0, 0]], [[3, 4], [5, 6], [7, 8]]), PLAIN)
    assert picked(signal) == [(0, 0, 3), (0, 1, 4)]
    assert (signal.totals.tokens, signal.totals.sequences) == (33, 6)
    assert (signal.zero_signal_groups, signal.groups) == (2, 3)


def test_a_completion_at_its_groups_mean_costs_nothing_but_stays_in_the_denominators() -> None:
    signal = find_signal(lengths_rollout([[1, 0.5, 0]], [[3, 4, 5]]), PLAIN)
    assert picked(signal) == [(0, 0, 3), (0, 2, 5)]
    assert (signal.totals.tokens, signal.totals.sequences) == (12, 3)


def test_failed_scores_are_in_neither_the_update_nor_the_denominators() -> None:
    signal = find_signal(lengths_rollout([[1, FAILED, 0]], [[3, 4, 5]]), PLAIN)
    assert picked(signal) == [(0, 0, 3), (0, 2, 5)]
    assert (signal.totals.tokens, signal.totals.sequences) == (8, 2)
    assert signal.advantages[1] == 0


@pytest.mark.parametrize("rewards", [[1.0, FAILED, FAILED], [FAILED, FAILED, FAILED]])
def test_a_group_with_fewer_than_two_scores_is_in_neither(rewards: list[float]) -> None:
    signal = find_signal(lengths_rollout([rewards, [1, 0, 0]], [[3, 4, 5], [6, 7, 8]]), PLAIN)
    assert {group for group, _, _ in picked(signal)} == {1}
    assert (signal.totals.tokens, signal.totals.sequences) == (21, 3)
    assert signal.zero_signal_groups == 1


def test_masked_truncated_completions_leave_the_loss_and_stay_in_the_baseline() -> None:
    rollout = lengths_rollout([[1, 0, 0, 1]], [[3, 4, 5, 6]], truncated=frozenset({(0, 0)}))
    kept = find_signal(rollout, PLAIN)
    masked = find_signal(rollout, PLAIN.model_copy(update={"mask_truncated": True}))
    assert masked.advantages.tolist() == kept.advantages.tolist()
    assert picked(masked) == picked(kept)[1:]
    assert (masked.totals.tokens, masked.totals.sequences) == (15, 3)
    assert (kept.totals.tokens, kept.totals.sequences) == (18, 4)


def test_there_is_no_signal_when_everything_that_differs_is_masked() -> None:
    rollout = lengths_rollout([[1, 0]], [[3, 4]], truncated=frozenset({(0, 0), (0, 1)}))
    assert find_signal(rollout, PLAIN.model_copy(update={"mask_truncated": True})).is_empty


def test_a_kl_penalty_keeps_completions_of_zero_advantage() -> None:
    signal = find_signal(lengths_rollout([[1, 0], [1, 1]], [[3, 4], [5, 6]]), PLAIN.model_copy(update={"beta": 0.1}))
    assert picked(signal) == [(0, 0, 3), (0, 1, 4), (1, 0, 5), (1, 1, 6)]
    assert [item.advantage for item in signal.trainable[2:]] == [0.0, 0.0]


@pytest.mark.parametrize("beta", [0.0, 0.1])
@pytest.mark.parametrize("rewards", [[[1.0, 1.0], [0.3, 0.3]], [[FAILED, 1.0], [FAILED, FAILED]]])
def test_there_is_no_signal_when_no_group_differs(rewards: list[list[float]], beta: float) -> None:
    signal = find_signal(lengths_rollout(rewards, [[3, 4], [5, 6]]), PLAIN.model_copy(update={"beta": beta}))
    assert signal.is_empty
    assert signal.zero_signal_groups == 2


def test_advantages_are_those_of_their_own_group_whatever_the_group_sizes() -> None:
    signal = find_signal(
        lengths_rollout([[1, 0], [5, 5, 8]], [[1, 1], [1, 1, 1]]), PLAIN.model_copy(update={"advantage": "none"})
    )
    assert signal.advantages.tolist() == pytest.approx([0.5, -0.5, -1, -1, 2])


def test_the_configured_clip_reaches_the_advantages() -> None:
    chosen = PLAIN.model_copy(update={"advantage": "none", "advantage_clip": 0.25})
    assert find_signal(lengths_rollout([[1, 0]], [[3, 4]]), chosen).advantages.tolist() == [0.25, -0.25]
