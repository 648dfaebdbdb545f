"""Functions stay started between calls, are started once, and end when nobody calls them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.rewards.functions.archives import archive

from tuneward.errors import GraderError
from tuneward.rewards.functions import FunctionBusyError, FunctionNotFoundError, FunctionRegistry, WarmFunctions, warm
from tuneward.rewards.pool import UnloadableError

HANDLER = "reward.lambda_handler"
COUNTING = "calls = []\ndef lambda_handler(event, context):\n    calls.append(event)\n    return len(calls)\n"


@pytest.fixture
def functions() -> Iterator[WarmFunctions]:
    made = WarmFunctions()
    yield made
    made.close()


def create(registry: FunctionRegistry, name: str = "count", source: str = COUNTING) -> None:
    registry.create(name, archive(reward=source), handler=HANDLER)
    registry.change_attributes(name, lambda attributes: setattr(attributes, "reserved_concurrency", 1))


@contextmanager
def lent(functions: WarmFunctions, registry: FunctionRegistry, name: str = "count") -> Iterator[Any]:
    loan = functions.take(registry, name)
    try:
        yield loan.function
    finally:
        loan.give_back()


def call(functions: WarmFunctions, registry: FunctionRegistry, name: str = "count") -> Any:
    with lent(functions, registry, name) as function:
        return json.loads(function.invoke(b"null").payload)


def test_the_second_call_finds_what_the_first_left(registry: FunctionRegistry, functions: WarmFunctions) -> None:
    create(registry)
    assert [call(functions, registry) for _ in range(3)] == [1, 2, 3]


def test_calls_that_come_together_start_it_once(
    registry: FunctionRegistry, functions: WarmFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(registry)
    starts = []
    start = warm.LocalFunction

    def counted(*arguments: Any, **settings: Any) -> Any:
        starts.append(1)
        return start(*arguments, **settings)

    monkeypatch.setattr(warm, "LocalFunction", counted)
    ready = threading.Barrier(6)

    def together() -> Any:
        ready.wait()
        return call(functions, registry)

    with ThreadPoolExecutor(6) as pool:
        answers = [done.result() for done in [pool.submit(together) for _ in range(6)]]
    assert (len(starts), sorted(answers)) == (1, [1, 2, 3, 4, 5, 6])


def test_a_changed_function_starts_anew(registry: FunctionRegistry, functions: WarmFunctions) -> None:
    create(registry)
    assert call(functions, registry) == 1
    registry.update("count", environment={"LEVEL": "2"})
    assert call(functions, registry) == 1
    registry.delete("count")
    with pytest.raises(FunctionNotFoundError):
        functions.take(registry, "count")


def test_the_longest_unused_of_too_many_ends(registry: FunctionRegistry) -> None:
    functions = WarmFunctions(most=2)
    for name in ("a", "b", "c"):
        create(registry, name)
        call(functions, registry, name)
    assert [call(functions, registry, name) for name in ("b", "c", "a")] == [2, 2, 1]
    functions.close()


def test_an_unused_function_ends_by_itself(registry: FunctionRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    close = warm.LocalFunction.close
    monkeypatch.setattr(warm.LocalFunction, "close", lambda self: (close(self), ended.set()))
    functions = WarmFunctions(idle_s=0.05)
    create(registry)
    assert call(functions, registry) == 1
    assert ended.wait(30)
    functions.close()


def test_code_that_does_not_load_is_tried_again(registry: FunctionRegistry, functions: WarmFunctions) -> None:
    create(registry, source="import no_such_module\n")
    for _ in range(2):
        with pytest.raises(UnloadableError, match="no_such_module"):
            functions.take(registry, "count")
    registry.update("count", code=archive(reward=COUNTING))
    assert call(functions, registry) == 1


def test_a_machine_without_a_sandbox_says_what_to_install(
    registry: FunctionRegistry, functions: WarmFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneward.rewards.sandbox.probe.sandbox_problem", lambda: "bwrap is not installed")
    monkeypatch.setattr("tuneward.rewards.sandbox.probe.MARKER", Path("/nonexistent"))
    monkeypatch.delenv("TUNEWARD_ALLOW_UNISOLATED", raising=False)
    create(registry)
    with pytest.raises(GraderError, match="Install bubblewrap"):
        functions.take(registry, "count")


def test_too_many_calls_are_refused(
    registry: FunctionRegistry, functions: WarmFunctions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "MAX_CALLS", 1)
    create(registry)
    with lent(functions, registry), pytest.raises(FunctionBusyError, match="under way"):
        functions.take(registry, "count")
    assert call(functions, registry) == 1


def test_a_function_of_another_project_is_not_found(tmp_path: Path) -> None:
    mine = FunctionRegistry(tmp_path / "mine", account="000000000001")
    made = mine.create("count", archive(reward=COUNTING), handler=HANDLER)
    assert mine.get(made.arn).arn == made.arn == "arn:aws:lambda:us-east-1:000000000001:function:count"
    other = FunctionRegistry(tmp_path / "mine", account="000000000002")
    with pytest.raises(FunctionNotFoundError, match="the account is 000000000002"):
        other.get(made.arn)


def test_the_process_of_a_job_finds_its_projects_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FunctionRegistry(tmp_path, account="000000000001").create("count", archive(reward=COUNTING), handler=HANDLER)
    monkeypatch.setenv("TUNEWARD_FUNCTIONS", str(tmp_path))
    monkeypatch.setenv("TUNEWARD_ACCOUNT", "000000000001")
    assert FunctionRegistry().get("arn:aws:lambda:us-east-1:000000000001:function:count").name == "count"
