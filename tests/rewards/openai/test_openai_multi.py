"""`multi` graders: the formula over parts, their curves, and what one failed part means."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from tests.rewards.judge.server import ScriptedServer, chat
from tests.rewards.openai.conftest import Grade

from tuneward.config import GraderConfig
from tuneward.errors import GraderError
from tuneward.rewards import build_grader
from tuneward.rewards.openai import OpenAIGrader
from tuneward.types import Row, Sample, Verdict

EXACT = {"type": "string_check", "name": "any", "input": "{{sample.output_json.code}}", "reference": "{{item.code}}",
         "operation": "eq"}  # fmt: skip
PROSE = {"type": "text_similarity", "name": "any", "input": "{{sample.output_json.why}}", "reference": "{{item.why}}",
         "evaluation_metric": "rouge_1"}  # fmt: skip
LENGTH = {"type": "python", "source": "def grade(sample, item):\n    return len(sample['output_json']['why'])"}
ITEM = {"code": "E11", "why": "type 2 diabetes"}


def multi(formula: str, **graders: Any) -> dict[str, Any]:
    return {"type": "multi", "name": "both", "graders": graders, "calculate_output": formula}


def test_parts_are_put_together_by_the_formula_and_keep_their_curves(grade: Grade) -> None:
    grader = multi("0.75 * exact + min(prose, 0.5) ^ 2", exact=EXACT, prose=PROSE)
    right, wrong = grade(
        grader, '{"code": "E11", "why": "diabetes"}', '{"code": "E10", "why": "type 2 diabetes"}', item=ITEM
    )
    assert right.reward == pytest.approx(0.75 + 0.5**2)
    assert wrong.reward == pytest.approx(0.25)
    assert right.metrics == {"exact": 1, "prose": pytest.approx(0.5)}
    assert right.components == {"exact", "prose"}
    assert right.receipt.grader.startswith("both@")


def test_an_answer_at_fault_is_a_real_reward_with_the_flags_of_all_parts(grade: Grade) -> None:
    grader = multi("exact + prose + 0.5", exact=EXACT, prose=PROSE)
    text, partly = grade(grader, "no JSON", '{"code": "E11"}', item=ITEM)
    assert (text.reward, text.details["errors"]) == (0.5, {"sample_parse_error": True})
    assert (partly.reward, partly.details["errors"]) == (1.5, {"invalid_variable_error": True})
    assert not text.is_failed


def test_a_failed_part_makes_the_whole_score_fail(grade: Grade) -> None:
    grader = multi("exact + 0 * length", exact=EXACT, length=LENGTH)
    good, bad = grade(grader, '{"code": "E11", "why": ""}', '{"code": "E11"}', item=ITEM)
    assert good.reward == 1
    assert math.isnan(bad.reward)
    assert bad.receipt.verdict is Verdict.ERROR
    assert "Sample s-1: Grader \"length\": length: line 2: grade raised KeyError: 'why'." in bad.receipt.message
    assert bad.details["errors"]["python_grader_runtime_error"] is True
    assert bad.metrics == {"exact": 1}
    assert good.receipt.isolation == bad.receipt.isolation == "process"
    assert "KeyError" not in good.receipt.stderr_tail


def test_a_formula_without_a_value_is_a_failed_score(grade: Grade) -> None:
    (score,) = grade(multi("1 / (exact - 1)", exact=EXACT), '{"code": "E11"}', item=ITEM)
    assert math.isnan(score.reward)
    assert score.receipt.verdict is Verdict.INVALID
    assert score.receipt.message == "Sample s-0: calculate_output has no value: / of 1, 0 is no finite number."
    assert score.details["errors"] == {"formula_parse_error": True}
    assert score.metrics == {"exact": 1}


def test_judges_of_one_grader_share_the_budget_of_the_run(grade: Grade) -> None:
    server = ScriptedServer(lambda _: chat('{"steps": [], "result": 1}'))
    judge = {"type": "score_model", "name": "j", "model": "m", "input": [{"role": "user", "content": "rate"}]}
    grader = multi("a + b", a=judge, b=judge)
    connection = {"url": server.url, "retries": 0, "max_calls": 3}
    try:
        first, second = grade(grader, "x", "y", connection=connection)
    finally:
        server.close()
    assert {first.is_failed, second.is_failed} == {False, True}
    good, bad = sorted([first, second], key=lambda score: score.is_failed)
    assert good.details["token_usage"]["judge-1"]["total_tokens"] == 36
    assert set(good.details["reasons"]) == {"a", "b"}
    assert bad.details["errors"]["model_grader_server_error"] is True
    assert len(server.requests) == 3


def test_a_threshold_is_measured_and_never_trained_on(grade: Grade) -> None:
    grader = {**multi("0.5 * exact + 0.25", exact=EXACT), "pass_threshold": 0.75}
    passed, missed = grade(grader, '{"code": "E11"}', '{"code": "x"}', item=ITEM)
    assert (passed.reward, passed.metrics["passed"]) == (0.75, 1)
    assert (missed.reward, missed.metrics["passed"]) == (0.25, 0)
    assert "passed" not in passed.components


def test_a_part_that_does_not_load_ends_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    broken = {"type": "python", "source": "import no_such_module\ndef grade(s, i): ..."}
    with pytest.raises(GraderError, match="no_such_module"):
        OpenAIGrader(GraderConfig(openai=multi("a + b", a=LENGTH, b=broken), isolation="process"))
    assert not list(tmp_path.iterdir())


def test_the_configuration_may_name_a_file(tmp_path: Path) -> None:
    file = tmp_path / "grader.json"
    file.write_text(json.dumps(multi("exact", exact=EXACT)))
    by_file = build_grader(GraderConfig(openai=file))
    by_object = build_grader(GraderConfig(openai=multi("exact", exact=EXACT)))
    other = build_grader(GraderConfig(openai=multi("2 * exact", exact=EXACT)))
    assert by_file.name == by_object.name != other.name
    (score,) = by_file.score([Sample("s", Row("r", (), None, ITEM), '{"code": "E11"}')])
    assert score.reward == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such grader file"),
        (b"{", "not JSON"),
        (b"[1]", "grader.json: Invalid type for 'grader': expected an object, but got an array"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "grader.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(GraderError, match=said):
        build_grader(GraderConfig(openai=file))
