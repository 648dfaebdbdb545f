r"""Does the program pass its tests?

    reward = passed tests / tests; 0.1 for Python that passes none; 0 without Python

The last ```python block of the answer is the program (without a block: the whole answer, if it is Python). It runs in
a sandbox, with memory and time limits for each test, and apart from the tests: they run in a process of their own, and
functions they call are asked for over a pipe. So a program that prints what it likes, ends early, replaces built-in
functions or returns objects that equal everything passes nothing by it.

Row, one of these in `reference_answer` or as fields of the row:

    tests (or MBPP's test_list)    asserts, as a list of texts; `setup` (or test_setup_code, test_imports) runs before
    test with entry_point          HumanEval's check(candidate); `prompt` goes before an answer that lacks the function
    cases (or test_cases)          a list of {"input", "output"}: standard input and the output expected for it

    {"messages": [{"role": "user", "content": "Write a Python function add(a, b)."}],
     "reference_answer": {"tests": ["assert add(1, 2) == 3", "assert add(-1, 1) == 0"]}}

Outputs are compared without spaces at the ends of lines. Values go over the pipe as plain data (numbers, text, lists,
dicts, sets, …); other objects stay where they are and can only be handed back, or asked for attributes.

What it cannot see: a program that knows the tests by heart (keep some out of the prompt), its style, and tests that
hand functions to the program, expect it to change a list in place, or test a function named like a built-in one.

A sample takes a fraction of a second, and a hanging one SAMPLE_TIMEOUT_S: in a file of your own, set reward.batch_size
to 8 and reward.timeout_s to 300.
"""

import ast
import re
import time
from typing import Any

from tuneward.rewards.sandbox import run_python
from tuneward.rewards.templates.asserts import run_asserts

COMPILES = 0.1
"""Score of Python that passes no test."""

TEST_TIMEOUT_S = 6.0
"""Wall-clock limit of one test, in seconds."""

SAMPLE_TIMEOUT_S = 20.0
"""Of all tests of one sample together; those that have not started by then count as failed."""

MEMORY_MB = 256
"""Memory limit of one test, MiB."""

MAX_CHARACTERS = 50_000
"""Longer programs are not run."""

Scores = tuple[float, dict[str, float], dict[str, float]]
"""The reward, its components, and what is only measured."""

FENCE = re.compile(r"```(?:python|py|python3)?[ \t]*\r?\n(.*?)```", re.DOTALL | re.IGNORECASE)
DOES_SOMETHING = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign, ast.For, ast.While, ast.Call)


def score(sample: dict[str, Any]) -> Scores:
    """Score one sample."""
    tests, setup, cases, prompt = expected(sample)
    code = program_of(after_reasoning(completion_of(sample)), prompt)
    if code is None:
        return 0.0, {"passed": 0.0}, {"compiles": 0.0}
    results = run_cases(code, cases) if cases else run_tests(code, setup, tests)
    passed = sum(results) / (len(cases) or len(tests))
    return max(passed, COMPILES), {"passed": passed}, {"compiles": 1.0}


def expected(sample: dict[str, Any]) -> tuple[list[str], str, list[tuple[str, str]], tuple[str, str]]:
    """Asserts and what runs before them, or cases of input and output; and HumanEval's prompt and function name."""
    reference = field_of(sample, "reference_answer")
    fields = reference if isinstance(reference, dict) else {"tests": reference}

    def field(*names: str) -> Any:
        return next((value for name in names if (value := fields.get(name, field_of(sample, name))) is not None), None)

    cases = field("cases", "test_cases")
    if cases is not None:
        if not isinstance(cases, list) or not cases or not all(is_case(case) for case in cases):
            raise ScoringError('cases must be a list of {"input": text, "output": text}')
        return [], "", [(case.get("input", ""), case["output"]) for case in cases], ("", "")
    setup = "\n".join(lines_of(field(name), name) for name in ("setup", "test_imports", "test_setup_code"))
    check, function = field("test"), field("entry_point")
    if isinstance(check, str) and isinstance(function, str):
        tests = [f"{check}\ncheck({function})\n"]
        prompt = lines_of(field("prompt"), "prompt"), function
    else:
        given = field("tests", "test_list")
        tests = [given] if isinstance(given, str) else given
        prompt = "", ""
    if not isinstance(tests, list) or not tests or not all(isinstance(test, str) and test.strip() for test in tests):
        raise ScoringError("the row needs tests (a list of asserts), test with entry_point, or cases; see the template")
    for source in (setup, *tests):
        if syntax(source) is None:
            raise ScoringError(f"a test is no Python: {source[:80]!r}")
    return tests, setup, [], prompt


def lines_of(value: Any, name: str) -> str:
    """Source code that may come as a list of lines."""
    lines = value if isinstance(value, list) else [value or ""]
    if not all(isinstance(line, str) for line in lines):
        raise ScoringError(f"{name} must be text or a list of texts")
    return "\n".join(lines)


def is_case(case: Any) -> bool:
    """Whether a case has an output, and an input if any, as text."""
    return isinstance(case, dict) and is_text(case.get("output")) and is_text(case.get("input", ""))


def is_text(value: Any) -> bool:
    """Whether a value is text that UTF-8 can hold; JSON can also hold halves of characters."""
    return isinstance(value, str) and value.encode(errors="replace").decode() == value


def program_of(text: str, prompt: tuple[str, str]) -> str | None:
    """The program of an answer; None when there is no Python."""
    blocks = FENCE.findall(text)
    code = blocks[-1] if blocks else text.strip("\n")
    head, function = prompt
    if head and re.search(rf"\bdef\s+{re.escape(function)}\b", code) is None:
        code = f"{head}{code}"
    tree = syntax(code) if len(code) <= MAX_CHARACTERS else None
    return code if tree and any(isinstance(node, DOES_SOMETHING) for node in ast.walk(tree)) else None


def syntax(code: str) -> ast.Module | None:
    """The program's syntax tree; None when it has none."""
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def run_cases(code: str, cases: list[tuple[str, str]]) -> list[bool]:
    """Whether the program prints the right output for each input; the sandbox never sees that output."""
    until = time.monotonic() + SAMPLE_TIMEOUT_S
    results = []
    for given, wanted in cases:
        if time.monotonic() > until:
            break
        run = run_python(code, stdin=given, timeout_s=TEST_TIMEOUT_S, memory_mb=MEMORY_MB)
        results.append(run.exit_code == 0 and trimmed(run.stdout) == trimmed(wanted))
    return results


def trimmed(output: str) -> list[str]:
    """Lines without spaces at their ends, and without empty ones at the end."""
    return [line.rstrip() for line in output.rstrip().splitlines()]


def run_tests(code: str, setup: str, tests: list[str]) -> list[bool]:
    """Whether each test passes."""
    try:
        return run_asserts(
            code, tests, setup=setup, timeout_s=TEST_TIMEOUT_S, total_s=SAMPLE_TIMEOUT_S, memory_mb=MEMORY_MB
        )
    except ValueError as error:
        raise ScoringError(f"setup fails: {error}") from None
    except RuntimeError as error:
        raise ScoringError(str(error)) from None


# --- From here on every template is the same: how samples come in and scores go out. ---


class ScoringError(Exception):
    """The sample cannot be scored, and the completion is not to blame: the row is wrong, or a tool is missing."""


def lambda_handler(event: list[dict[str, Any]], context: Any) -> list[dict[str, Any]]:  # noqa: ARG001
    """Answer {id, aggregate_reward_score, metrics_list} per sample, or {id, error} where that cannot be."""
    return [answer(sample) for sample in event]


def answer(sample: dict[str, Any]) -> dict[str, Any]:
    """The entry of one sample: components of the reward have type Reward, what is only measured has type Metric."""
    try:
        reward, components, measurements = score(sample)
    except ScoringError as error:
        return {"id": sample.get("id"), "error": str(error)}
    metrics = [{"name": name, "value": value, "type": "Reward"} for name, value in components.items()]
    metrics += [{"name": name, "value": value, "type": "Metric"} for name, value in measurements.items()]
    return {"id": sample.get("id"), "aggregate_reward_score": reward, "metrics_list": metrics}


def field_of(sample: dict[str, Any], name: str) -> Any:
    """A field of the row, which stands at the top or in the metadata; text may come as {"text": …}."""
    metadata = sample.get("metadata")
    value = sample.get(name)
    if value is None and isinstance(metadata, dict):
        value = metadata.get(name)
    return value["text"] if isinstance(value, dict) and list(value) == ["text"] else value


def completion_of(sample: dict[str, Any]) -> str:
    """The text of the last message: a string, an object with `text`, or a list of such parts."""
    messages = sample.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    content = last.get("content") if isinstance(last, dict) else None
    parts = [
        part.get("text") if isinstance(part, dict) else part
        for part in (content if isinstance(content, list) else [content])
    ]
    return "".join(part for part in parts if isinstance(part, str))


def after_reasoning(text: str) -> str:
    """What follows the reasoning, where a model marks that with <think>…</think>; nothing when it never ended."""
    return text.rpartition("</think>")[2].partition("<think>")[0]
