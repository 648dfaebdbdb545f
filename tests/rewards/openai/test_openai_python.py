"""`python` graders in real processes: values, faults with the user's line numbers, limits, many at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from tests.rewards.openai.conftest import Grade

from tuneward.config import GraderConfig
from tuneward.errors import GraderError
from tuneward.rewards.openai import OpenAIGrader, parse_grader
from tuneward.rewards.openai.assemble import Assembly
from tuneward.rewards.sandbox.probe import sandbox_problem
from tuneward.types import Row, Sample, Verdict

Make = Callable[..., OpenAIGrader]


def python(source: str) -> dict[str, str]:
    return {"type": "python", "name": "mine", "source": dedent(source)}


def test_grade_sees_the_row_and_the_answer(grade: Grade) -> None:
    source = """
        from dataclasses import dataclass

        @dataclass
        class Want:
            value: float

        def grade(sample, item):
            print("graded")
            want = Want(item["value"])
            assert item["messages"] == [{"role": "user", "content": "7*8?"}]
            assert sample["choices"][0]["message"]["content"] == sample["output_text"]
            assert sample["output_tools"] == []
            return 1.0 - abs(sample["output_json"]["v"] - want.value) / 100
        """
    exact, near = grade(python(source), '{"v": 56}', '{"v": 46}', item={"value": 56})
    assert (exact.reward, near.reward) == (1.0, 0.9)
    assert exact.receipt.stdout_tail == "graded\n"
    assert exact.receipt.isolation == "process"
    assert exact.receipt.limits == {"timeout_s": 120, "memory_mb": 2048}
    assert exact.receipt.grader.startswith("mine@")
    assert exact.receipt.peak_memory_bytes > 0


VALUES = """
    import decimal, fractions
    import numpy
    float = str = isinstance = repr = None  # A user may give away any name.
    VALUES = {"true": True, "int": 5, "big": 10**400, "text": "1", "none": None, "nan": numpy.nan, "inf": -numpy.inf,
              "numpy": numpy.float32(0.5), "decimal": decimal.Decimal("0.25"), "array": numpy.ones(1),
              "fraction": fractions.Fraction(1, 4), "complex": 1j}
    def grade(sample, item):
        return VALUES[sample["output_text"]]
    """


def test_numbers_of_any_kind_count_and_nothing_else(grade: Grade) -> None:
    names = ["true", "int", "numpy", "decimal", "fraction", "big", "text", "none", "nan", "inf", "array", "complex"]
    scores = grade(python(VALUES), *names)
    assert [score.reward for score in scores[:5]] == [1, 5, 0.5, 0.25, 0.25]
    for score in scores[5:]:
        assert math.isnan(score.reward)
        assert score.receipt.verdict is Verdict.INVALID
        assert "expected a finite number" in score.receipt.message
        assert score.details["errors"]["python_grader_runtime_error"] is True
    assert scores[6].receipt.message == "Sample s-6: mine: grade returned '1' (str); expected a finite number."


def test_an_error_is_told_with_the_users_line_and_traceback(grade: Grade) -> None:
    source = python("""\
        def check(text):
            raise ValueError("bad\\ncode.")

        def grade(sample, item):
            return check(sample["output_text"])""")
    (score,) = grade(source, "x")
    assert math.isnan(score.reward)
    assert score.receipt.verdict is Verdict.ERROR
    assert score.receipt.message == "Sample s-0: mine: line 2: grade raised ValueError: bad code."
    errors = score.details["errors"]
    assert set(errors) == {"python_grader_runtime_error", "python_grader_runtime_error_details"}
    details = errors["python_grader_runtime_error_details"]
    assert 'File "grader.py", line 5, in grade' in details
    assert 'File "grader.py", line 2, in check' in details
    assert "_tuneward" not in details


def test_the_sandbox_keeps_network_files_and_secrets_away(
    grade: Grade, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if problem := sandbox_problem():
        pytest.skip(f"no sandbox here: {problem}")
    secret = tmp_path / "secret.txt"
    secret.write_text("x")
    monkeypatch.setenv("TUNEWARD_REWARD_KEY", "x")
    source = f"""\
        import os, pathlib, socket

        def grade(sample, item):
            assert "TUNEWARD_REWARD_KEY" not in os.environ
            assert not pathlib.Path({str(secret)!r}).exists()
            socket.create_connection(("192.0.2.1", 80), timeout=60)"""
    (score,) = grade(python(source), "x", isolation=None)
    assert "line 6: grade raised OSError: [Errno 101] Network is unreachable" in score.receipt.message
    assert 'File "grader.py", line 6' in score.details["errors"]["python_grader_runtime_error_details"]
    assert score.receipt.isolation == "sandbox"


@pytest.mark.parametrize(
    ("body", "verdict", "said"),
    [
        ("import os; os._exit(3)", Verdict.ERROR, "mine: grade: its process ended with exit status 3"),
        ("exit(3)", Verdict.ERROR, "grade raised SystemExit: 3"),
        ("return bytearray(1 << 30)", Verdict.OOM, "needed more than 64 MiB"),
        ("import time; time.sleep(60)", Verdict.TIMEOUT, "took longer than 1 s"),
        ("return grade(sample, item)", Verdict.ERROR, "RecursionError"),
    ],
)
def test_one_bad_answer_does_not_cost_the_others(grade: Grade, body: str, verdict: Verdict, said: str) -> None:
    source = f"def grade(sample, item):\n    if sample['output_text'] != 'bad': return 1\n    {body}"
    good, bad, after = grade(python(source), "good", "bad", "good", timeout_s=1.0, memory_mb=64)
    assert bad.receipt.verdict is verdict
    assert said in bad.receipt.message
    assert bad.details["errors"]["python_grader_runtime_error"] is True
    assert (good.reward, after.reward) == (1, 1)


def test_answers_are_graded_at_the_same_time(make_grader: Make, tmp_path: Path) -> None:
    # Each call ends only when the other has begun.
    source = f"""
        import pathlib, time
        def grade(sample, item):
            here, other = sample["output_text"], {{"a": "b", "b": "a"}}[sample["output_text"]]
            folder = pathlib.Path({str(tmp_path)!r})
            (folder / here).touch()
            while not (folder / other).exists():
                time.sleep(0.005)
            return 1
        """
    grader = make_grader(python(source), workers=2)
    row = Row("r", ())
    assert [score.reward for score in grader.score([Sample("1", row, "a"), Sample("2", row, "b")])] == [1, 1]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_module\ndef grade(s, i): ...", "mine: source, line 1: loading the file failed with Module"),
        ("\n\nx = 1 / 0\ndef grade(s, i): ...", "mine: source, line 3: loading the file failed with ZeroDivision"),
    ],
)
def test_source_that_does_not_load_is_known_at_once(make_grader: Make, source: str, said: str) -> None:
    with pytest.raises(GraderError) as caught:
        make_grader(python(source))
    assert said in str(caught.value)
    assert "/tmp" not in str(caught.value)


def test_no_file_is_left_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for source in ("def grade(s, i): return 1", "import no_such_module\ndef grade(s, i): ..."):
        try:
            grader = OpenAIGrader(GraderConfig(openai=python(source), isolation="process"))
        except GraderError:
            continue
        assert list(tmp_path.iterdir())
        grader.close()
        grader.close()
    assert not list(tmp_path.iterdir())


def test_a_row_that_is_no_json_fails_alone(make_grader: Make) -> None:
    grader = make_grader(python("def grade(s, i): return 1"))
    odd: dict[str, Any] = {"when": {1, 2}}
    bad, good = grader.score([Sample("1", Row("r", (), None, odd), "a"), Sample("2", Row("r", ()), "b")])
    assert bad.details["errors"] == {"other_error": True}
    assert bad.receipt.verdict is Verdict.INVALID
    assert good.reward == 1


def test_a_closed_grader_says_so(make_grader: Make) -> None:
    grader = make_grader(python("def grade(s, i): return 1"))
    grader.close()
    with pytest.raises(GraderError, match="is closed"):
        grader.score([])


def test_code_is_isolated_unless_the_configuration_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(program: Any, _workers: int) -> None:
        asked.append(program.isolation)
        raise GraderError("no sandbox here")

    monkeypatch.setattr("tuneward.rewards.openai.python_grader.ProcessPool", refuse)
    monkeypatch.setattr("tuneward.rewards.openai.python_grader.place_for", lambda _: "sandbox")
    spec = parse_grader(python("def grade(s, i): return 1"))
    for isolation in (None, "sandbox", "process"):
        with pytest.raises(GraderError, match="no sandbox here"):
            Assembly(spec, GraderConfig(openai={}, isolation=isolation))
    assert asked == ["sandbox", "sandbox", "process"]
