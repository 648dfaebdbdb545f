"""Several graders as one: gates, the weighted sum, failures in the name of their part."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.rewards.scripted import ScriptedGrader

from tuneward.config import ComposeConfig, GraderConfig, LengthPenaltyConfig, RewardConfig
from tuneward.errors import GraderError
from tuneward.rewards import FailurePolicy, build_grader, build_reward
from tuneward.rewards.compose import ComposedGrader, build_composition, length_penalty
from tuneward.types import Sample, Verdict

Samples = Callable[..., list[Sample]]
NOT_ASKED = {"function": "unused"}
"""Some kind has to be named; the builder of these tests does not look at it."""


def composed(
    graders: dict[str, ScriptedGrader], settings: dict[str, dict[str, Any]] | None = None, **changes: Any
) -> ComposedGrader:
    """A composition of given graders; `settings` by part, `changes` to the whole."""
    parts = {name: NOT_ASKED | (settings or {}).get(name, {}) for name in graders}
    made = iter(graders.values())
    config = ComposeConfig.model_validate({"parts": parts, **changes})
    return build_composition(config, lambda _: next(made))


def fixed(value: float | Verdict, name: str = "fixed@0", **options: Any) -> ScriptedGrader:
    return ScriptedGrader(lambda _: value, name, **options)


def test_the_reward_is_the_weighted_sum_and_every_part_is_a_component(samples: Samples) -> None:
    grader = composed({"math": fixed(0.5), "style": fixed(2.0)}, {"math": {"weight": 3.0}, "style": {"weight": -0.25}})
    (score,) = grader.score(samples("x"))
    assert score.reward == 3.0 * 0.5 - 0.25 * 2.0
    assert score.metrics == {"math": 0.5, "style": 2.0}
    assert score.components == {"math", "style"}
    assert score.receipt.verdict is Verdict.OK
    assert score.details["parts"]["style"]["contribution"] == -0.5


def test_normalize_divides_by_the_weights(samples: Samples) -> None:
    graders = {"a": fixed(1.0), "b": fixed(0.0), "c": fixed(7.0)}
    settings = {"a": {"weight": 3.0}, "b": {"weight": 1.0}, "c": {"weight": 0.0}}
    assert composed(graders, settings, normalize=True).score(samples("x"))[0].reward == 0.75


@pytest.mark.parametrize(("given", "mapped"), [(1.0, 0.0), (5.5, 0.5), (10.0, 1.0), (-3.0, 0.0), (12.0, 1.0)])
def test_a_range_is_cut_and_mapped_before_weighing_but_shown_as_given(
    samples: Samples, given: float, mapped: float
) -> None:
    (score,) = composed({"judge": fixed(given)}, {"judge": {"range": [1, 10], "weight": 2.0}}).score(samples("x"))
    assert score.reward == 2.0 * mapped
    assert score.metrics["judge"] == given


def test_a_part_of_no_weight_is_measured_only_and_its_failure_does_no_harm(samples: Samples) -> None:
    graders = {"math": fixed(1.0), "tone": fixed(Verdict.TIMEOUT, wall_s=9.0), "length": fixed(80.0)}
    (score,) = composed(graders, {"tone": {"weight": 0}, "length": {"weight": 0}}).score(samples("x"))
    assert score.reward == 1.0
    assert score.receipt.verdict is Verdict.OK
    assert score.metrics == {"math": 1.0, "tone/failed": 1.0, "length": 80.0, "length/failed": 0.0}
    assert score.components == {"math"}
    assert score.details["parts"]["tone"]["verdict"] == "timeout"


def test_metrics_of_a_part_stand_under_its_name(samples: Samples) -> None:
    (score,) = composed({"math": fixed(1.0, metrics={"steps": 3.0})}).score(samples("x"))
    assert score.metrics == {"math": 1.0, "math/steps": 3.0}
    assert score.components == {"math"}


def test_gates_are_asked_first_and_those_below_are_not_asked_again(samples: Samples) -> None:
    gate = ScriptedGrader(lambda sample: float(sample.completion[0]), "gate@0")
    second = ScriptedGrader(lambda sample: float(sample.completion[1]), "second@0")
    judge = fixed(0.9)
    grader = composed(
        # The judge stands first in the file, the gates come first all the same, in their own order.
        {"judge": judge, "format": gate, "safety": second},
        {"format": {"gate": 1.0, "weight": 0}, "safety": {"gate": 0.5, "weight": 0.1}},
        gate_reward=-1.0, clip=[0, 10],
    )  # fmt: skip
    scores = grader.score(samples("11", "01", "10", "21"))
    assert [score.reward for score in scores] == [pytest.approx(1.0), -1.0, -1.0, pytest.approx(1.0)]
    assert gate.asked == ["s-0", "s-1", "s-2", "s-3"]
    assert second.asked == ["s-0", "s-2", "s-3"]
    assert judge.asked == ["s-0", "s-3"]
    assert [score.metrics["gated"] for score in scores] == [0.0, 1.0, 1.0, 0.0]
    assert scores[1].metrics == {"format": 0.0, "gated": 1.0}
    assert scores[1].components == {"format"}
    assert all(not score.is_failed for score in scores)


def test_when_all_fail_the_gate_nobody_else_is_called(samples: Samples) -> None:
    judge = fixed(1.0)
    grader = composed({"format": fixed(0.0), "judge": judge}, {"format": {"gate": 0.5}})
    assert [score.reward for score in grader.score(samples("a", "b"))] == [0.0, 0.0]
    assert judge.calls == []


def test_a_failed_gate_fails_the_sample_and_saves_the_other_parts_the_work(samples: Samples) -> None:
    judge = fixed(1.0)
    (score,) = composed({"format": fixed(Verdict.OOM), "judge": judge}, {"format": {"gate": 0.5}}).score(samples("a"))
    assert math.isnan(score.reward)
    assert score.receipt.verdict is Verdict.OOM
    assert judge.calls == []


def test_a_failed_part_fails_the_sample_in_its_name_and_the_others_stay_measured(samples: Samples) -> None:
    style = ScriptedGrader(lambda s: Verdict.TIMEOUT if s.completion == "bad" else 0.5, "style.py@1", wall_s=2.0)
    grader = composed({"math": fixed(1.0, metrics={"steps": 2.0}, wall_s=9.0), "style": style})
    failed, fine = grader.score(samples("bad", "good"))
    assert math.isnan(failed.reward)
    assert failed.receipt.verdict is Verdict.TIMEOUT
    assert failed.receipt.message == ("part style: style.py@1 failed. Raise reward.compose.parts.style.timeout_s.")
    assert failed.receipt.wall_s == 2.0
    assert failed.metrics == {"math": 1.0, "math/steps": 2.0}
    assert failed.components == {"math"}
    assert failed.details["parts"]["style"]["verdict"] == "timeout"
    assert fine.reward == 1.5


def test_the_receipt_is_that_of_the_slowest_part_under_the_compositions_name(samples: Samples) -> None:
    grader = composed({"fast": fixed(1.0, wall_s=0.1), "slow": fixed(1.0, wall_s=3.0), "mid": fixed(1.0, wall_s=1.0)})
    (score,) = grader.score(samples("x"))
    assert score.receipt.wall_s == 3.0
    assert score.receipt.grader == grader.name


def test_error_budget_message_names_composition_and_part(samples: Samples) -> None:
    grader = composed({"math": fixed(1.0), "style": fixed(Verdict.ERROR, "style.py@1")})
    policy = FailurePolicy("exclude", 0.1)
    with pytest.raises(GraderError) as caught:
        policy.observe(grader.score(samples(*"x" * 60)))
    assert f"{grader.name}: 60 of 60 samples could not be scored" in str(caught.value)
    assert "example sample s-0: part style: style.py@1 failed." in str(caught.value)


def test_length_penalty_and_clip_come_last(samples: Samples) -> None:
    penalty = {"free_characters": 10, "full_characters": 20, "weight": 0.5}
    grader = composed({"math": fixed(1.0)}, length_penalty=penalty, clip=[0.6, 0.9])
    scores = grader.score(samples("x" * 10, "x" * 15, "x" * 30))
    assert [score.reward for score in scores] == [0.9, 0.75, 0.6]
    assert [score.metrics["length_penalty"] for score in scores] == [0.0, 0.25, 0.5]


def test_length_penalty_grows_evenly_between_its_bounds() -> None:
    config = LengthPenaltyConfig(free_characters=100, full_characters=300, weight=1.0)
    assert [length_penalty(n, config) for n in (0, 100, 150, 200, 300, 5000)] == [0, 0, 0.25, 0.5, 1.0, 1.0]


def test_usage_of_the_parts_is_added_up(samples: Samples) -> None:
    usage = {"usage": {"calls": 1, "prompt_tokens": 100, "completion_tokens": 7}}
    grader = composed({"a": fixed(1.0, details=usage), "b": fixed(0.5, details=usage), "c": fixed(0.5)})
    (score,) = grader.score(samples("x"))
    assert score.details["usage"] == {"calls": 2, "prompt_tokens": 200, "completion_tokens": 14}


def test_parts_are_asked_at_the_same_time(samples: Samples) -> None:
    together = threading.Barrier(3)
    grader = composed({name: fixed(1.0, before=lambda _: together.wait(20) and None) for name in "abc"})
    assert grader.score(samples("x"))[0].reward == 3.0


def test_many_threads_get_their_own_scores(samples: Samples) -> None:
    graders = {"a": ScriptedGrader(name="a@0"), "b": ScriptedGrader(name="b@0"), "gate": fixed(1.0)}
    grader = composed(graders, {"gate": {"gate": 1.0, "weight": 0}})
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda n: [s.reward for s in grader.score(samples(str(n), str(n + 1)))], range(200)))
    assert found == [[2.0 * n, 2.0 * n + 2] for n in range(200)]


def test_the_name_tells_every_part_and_setting_apart() -> None:
    def name(first: str = "a@1", settings: dict[str, Any] | None = None, **changes: Any) -> str:
        return composed({"a": fixed(1.0, first), "b": fixed(1.0, "b@1")}, {"a": settings or {}}, **changes).name

    names = [
        name(), name("a@2"), name(settings={"weight": 2.0}), name(settings={"gate": 0.5}),
        name(settings={"range": [0, 2]}), name(settings={"reference_answer": "text"}), name(normalize=True),
        name(gate_reward=-1.0), name(clip=[0, 1]),
        name(length_penalty={"free_characters": 1, "full_characters": 2}),
    ]  # fmt: skip
    assert len(set(names)) == len(names)
    assert name() == name(settings={"timeout_s": 5.0, "workers": 2})
    assert name().startswith("compose@")


def test_closing_closes_every_part_even_when_one_cannot_be(samples: Samples) -> None:
    class Stubborn(ScriptedGrader):
        def close(self) -> None:
            raise OSError("no")

    first, last = fixed(1.0), fixed(1.0)
    grader = composed({"first": first, "stubborn": Stubborn(), "last": last})
    with pytest.raises(OSError, match="no"):
        grader.close()
    assert (first.closed, last.closed) == (1, 1)
    with pytest.raises(GraderError, match="closed"):
        grader.score(samples("x"))


def test_a_part_that_cannot_be_built_closes_the_others_and_is_named() -> None:
    config = ComposeConfig.model_validate({"parts": {"math": NOT_ASKED, "style": {"file": "style.py"}}})
    math_part = fixed(1.0)

    def build(part: GraderConfig) -> ScriptedGrader:
        if part.file is None:
            return math_part
        raise GraderError("style.py: no such reward file. Correct reward.file.")

    with pytest.raises(GraderError, match=r"^style.py: no such .* Correct reward\.compose\.parts\.style\.file\.$"):
        build_composition(config, build)
    assert math_part.closed == 1


def test_a_part_that_can_score_nothing_at_all_says_so_in_its_name(samples: Samples) -> None:
    def refuse(_: list[Sample]) -> None:
        raise GraderError("style.py: the grader is closed.")

    for parts in ({"style": fixed(1.0, before=refuse)}, {"math": fixed(1.0), "style": fixed(1.0, before=refuse)}):
        with pytest.raises(GraderError, match=r"^part style: style\.py"):
            composed(parts).score(samples("x"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"parts": {}}, "at least 1"),
        ({"parts": {"a/b": NOT_ASKED}}, "cannot name a part"),
        ({"parts": {"gated": NOT_ASKED}}, "cannot name a part"),
        ({"parts": {"a": NOT_ASKED | {"weight": 0}}}, "every part has weight 0"),
        ({"parts": {"a": NOT_ASKED | {"range": [1, 1]}}}, "lower end first"),
        ({"parts": {"a": NOT_ASKED, "b": NOT_ASKED | {"weight": -1}}, "normalize": True}, "sum of the weights"),
        ({"parts": {"a": NOT_ASKED}, "clip": [1, 0]}, "lower end first"),
        ({"parts": {"a": {}}}, "no grader is named"),
    ],
)
def test_a_composition_that_makes_no_reward_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ComposeConfig.model_validate(changes)


def test_a_configured_composition_of_files_scores(tmp_path: Path, samples: Samples) -> None:
    for name, body in (("format", "float(text.startswith('#'))"), ("size", "float(len(text))")):
        (tmp_path / f"{name}.py").write_text(
            "def lambda_handler(event, context):\n"
            "    rows = [(item['id'], item['messages'][-1]['content']) for item in event]\n"
            "    if any(text == '#boom' for _, text in rows):\n"
            "        raise ValueError('boom')\n"
            f"    return [{{'id': key, 'aggregate_reward_score': {body}}} for key, text in rows]\n"
        )
    parts = {
        "format": {"file": tmp_path / "format.py", "gate": 1.0, "weight": 0, "retries": 1},
        "size": {"file": tmp_path / "size.py", "range": [0, 10], "retries": 1},
    }
    with_zero = RewardConfig.model_validate({"compose": {"parts": parts}, "on_failure": "zero"})
    grader = build_reward(with_zero)
    try:
        scores = grader.score(samples("#four", "no", "#boom"))
    finally:
        grader.close()
    assert [score.reward for score in scores] == [0.5, 0.0, 0.0]
    assert [score.is_failed for score in scores] == [False, False, True]
    assert "part format: format.py, line 4: lambda_handler raised ValueError: boom" in scores[2].receipt.message
    with pytest.raises(GraderError, match=r"Correct reward\.compose\.parts\.size\.file"):
        build_grader(
            RewardConfig.model_validate({"compose": {"parts": parts | {"size": {"file": tmp_path / "none.py"}}}})
        )
