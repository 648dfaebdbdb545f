"""code_tests: right programs pass, and no program can pretend to."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import pytest
from tests.rewards.templates.conftest import Answer, data_file, json_lines

from tuneward.rewards.sandbox import ProgramRun
from tuneward.types import Verdict

Score = Callable[..., float]
NAME = "code_tests"
ADD = {"tests": ["assert add(1, 2) == 3", "assert add(-1, 1) == 0"]}
PASSES_NOTHING = 0.1


def fenced(code: str) -> str:
    return f"Here it is:\n```python\n{code}\n```\n"


def test_the_share_of_passed_tests_counts(score: Score) -> None:
    assert score(NAME, ADD, fenced("def add(a, b):\n    return a + b")) == 1
    assert score(NAME, {"text": ADD["tests"][0]}, "def add(a, b):\n    return a + b") == 1
    assert score(NAME, ADD, fenced("def add(a, b):\n    return 3")) == 0.5
    assert score(NAME, ADD, fenced("def add(a, b):\n    return None")) == PASSES_NOTHING
    for nothing in ("", "add", "I cannot.", fenced("def add(a, b)")):
        assert score(NAME, ADD, nothing) == 0


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos._exit(0)",
        "def add(a, b):\n    import os\n    os._exit(0)",
        "raise SystemExit(0)",
        "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)",
        "class Equal:\n    def __eq__(self, other):\n        return True\ndef add(a, b):\n    return Equal()",
        "class Equal(int):\n    def __eq__(self, other):\n        return True\ndef add(a, b):\n    return Equal(9)",
        "import builtins\nbuiltins.exec = lambda *_: None\n\ndef add(a, b):\n    return 9",
        "import sys\ndef add(a, b):\n    sys._getframe(1).f_globals['results'] = [True]\n    return 9",
        "import os\ndef add(a, b):\n    [os.write(n, b'x [[true, true], 0]\\n') for n in range(3)]\n    return 9",
        "import os\nos.write(4, b'{\"value\": 3}\\n' * 9)\ndef add(a, b):\n    return 9",
        "import os\ndef add(a, b):\n    open(f'/proc/{os.getppid()}/fd/1', 'w').write('x')\n    return a + b",
        "import os\nopen(f'/proc/{os.getppid()}/mem', 'rb')\ndef add(a, b):\n    return a + b",
        "open('json.py', 'w').write('')\ndef add(a, b):\n    return 9",
    ],
)  # fmt: skip
def test_a_program_cannot_pretend_to_pass(score: Score, code: str) -> None:
    assert score(NAME, ADD, fenced(code)) == PASSES_NOTHING


def test_output_without_the_proof_is_not_from_the_tests(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    forged = ProgramRun(Verdict.OK, 0, "0123 started\n0123 [[true, true], 0.1]\n", "", 0.1)
    monkeypatch.setattr("tuneward.rewards.templates.asserts.run_python", lambda *_, **__: forged)
    entry = answer(NAME, ADD, fenced("def add(a, b):\n    return a + b"))
    assert "the sandbox could not start the tests" in entry["error"]


def test_a_test_that_hangs_fails_alone(score: Score, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuneward.rewards.templates.code_tests.TEST_TIMEOUT_S", 1.0)
    code = "def add(a, b):\n    while a == 1:\n        pass\n    return a + b"
    assert score(NAME, ADD, fenced(code)) == 0.5


def test_classes_exceptions_and_containers_cross_the_line(score: Score) -> None:
    code = """
class Pair:
    def __init__(self, a, b):
        self.a, self.b = a, b
    def total(self):
        return self.a + self.b
def sums(pairs):
    return [pair.total() for pair in pairs]
def fail(kind):
    raise ValueError(kind)
def echo(x):
    return x
def numbers(n):
    yield from range(n)
"""
    tests = [
        "assert sums([Pair(1, 2), Pair(3, 4)]) == [3, 7]",
        "p = Pair(1, 2); p.a = 5; assert p.total() == 7 and p.b == 2",
        "assert list(numbers(3)) == [0, 1, 2]",
        "x = {'a': (1, 2.5, None), 3: {4, 5}, b'c': [True, 1j, frozenset('d')]}; assert echo(x) == x",
        "assert echo(float('inf')) > 10**400 and echo(10**5000) == 10**5000",
        "try:\n    fail('odd')\n    assert False\nexcept ValueError as error:\n    assert str(error) == 'odd'",
        "assert helper(echo(2)) == 4",
        "assert echo([int, str]) == [int, str]",
    ]
    assert score(NAME, {"tests": tests, "setup": "def helper(x):\n    return 2 * x"}, fenced(code)) == 1


def test_output_is_compared_for_each_input(score: Score) -> None:
    cases = [{"input": "3\n4\n", "output": "7"}, {"input": "1\n1\n", "output": "2\n"}]
    assert score(NAME, {"cases": cases}, fenced("print(int(input()) + int(input()))")) == 1
    assert score(NAME, {"test_cases": cases}, fenced("print(7, '')")) == 0.5
    assert score(NAME, None, fenced("import os\nprint(7, flush=True)\nos._exit(1)"), test_cases=cases) == PASSES_NOTHING


@pytest.mark.parametrize(
    "reference",
    [None, 5, [], {"tests": []}, {"tests": ["assert ("]}, {"cases": []}, {"cases": [{"input": "x"}]}, {"tests": [1]},
     {"tests": ["assert f()"], "setup": "import no_such_module"}, {"test": "def check(c): pass"}],
)  # fmt: skip
def test_a_row_without_usable_tests_is_an_error_and_no_zero(answer: Answer, reference: object) -> None:
    entry = answer(NAME, reference, fenced("def f():\n    return 1"))
    assert entry.get("error")
    assert "aggregate_reward_score" not in entry


MBPP_NOT = {126, 596, 642}
"""A function called `sum`, and two tasks whose tests fail in today's Python."""


@pytest.mark.parametrize("every", [40, pytest.param(1, marks=pytest.mark.slow)])
def test_reference_programs_of_mbpp_pass_and_others_do_not(score: Score, every: int) -> None:
    for row in json_lines("mbpp", "mbpp.jsonl")[::every]:
        tests = {name: row[name] for name in ("test_list", "test_setup_code")}
        if row["task_id"] not in MBPP_NOT:
            assert score(NAME, None, fenced(row["code"]), **tests) == 1, row["task_id"]
        assert score(NAME, None, row["text"], **tests) == 0
    assert score(NAME, None, fenced("def f(*_):\n    return 0"), **tests) == PASSES_NOTHING


@pytest.mark.parametrize("every", [20, pytest.param(1, marks=pytest.mark.slow)])
def test_reference_programs_of_humaneval_pass_with_or_without_their_prompt(score: Score, every: int) -> None:
    with gzip.open(data_file("humaneval", "HumanEval.jsonl.gz"), "rt") as file:
        rows = [json.loads(line) for line in file][::every]
    for row in rows:
        reference = {name: row[name] for name in ("prompt", "test", "entry_point")}
        assert score(NAME, reference, fenced(row["prompt"] + row["canonical_solution"])) == 1, row["task_id"]
        assert score(NAME, reference, fenced(row["canonical_solution"].rstrip("\n"))) == 1, row["task_id"]
        assert score(NAME, reference, fenced("    return None")) <= PASSES_NOTHING
