"""A registered function runs here as on AWS Lambda: warm processes, its context and environment, errors, its log."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.rewards.functions.archives import archive, scoring

from tuneward.config import RewardConfig
from tuneward.errors import GraderError
from tuneward.rewards import build_grader
from tuneward.rewards.functions import FunctionRegistry, LocalFunction
from tuneward.rewards.functions.log import TAIL_BYTES, FunctionLog
from tuneward.rewards.sandbox.probe import sandbox_problem
from tuneward.types import Row, Sample, Verdict

Start = Callable[..., LocalFunction]

HANDLER = "reward.lambda_handler"


def samples(count: int) -> list[Sample]:
    row = Row("r", ({"role": "user", "content": "7*8?"},), 56)
    return [Sample(f"s-{index}", row, f"answer {index}") for index in range(count)]


def invoke(function: LocalFunction, event: Any = None) -> Any:
    return json.loads(function.invoke(json.dumps(event).encode()).payload)


def test_the_context_and_environment_are_those_of_lambda(registry: FunctionRegistry, start: Start) -> None:
    source = (
        "import os\n"
        "def lambda_handler(event, c):\n"
        "    return [c.function_name, c.function_version, c.invoked_function_arn, c.memory_limit_in_mb,\n"
        "            c.log_group_name, '[1]' in c.log_stream_name, len(c.aws_request_id),\n"
        "            0 < c.get_remaining_time_in_millis() <= 60000, os.environ['LEVEL'],\n"
        "            os.environ['AWS_LAMBDA_FUNCTION_NAME'], os.environ['AWS_REGION']]\n"
    )
    registry.create("maths", archive(reward=source), handler=HANDLER, environment={"LEVEL": "hard"})
    registry.publish("maths")
    arn = "arn:aws:lambda:us-east-1:000000000000:function:maths:1"
    assert invoke(start("maths:1")) == [
        "maths", "1", arn, "512", "/aws/lambda/maths", True, 36, True, "hard", "maths", "us-east-1",
    ]  # fmt: skip


def test_modules_beside_the_handler_are_imported_from_the_archive(registry: FunctionRegistry, start: Start) -> None:
    code = archive(
        graders__maths="from graders.tools import answer\ndef score(event, context): return answer()\n",
        graders__tools="def answer(): return 'from the archive'\n",
    )
    registry.create("deep", code, handler="graders/maths.score")
    assert invoke(start("deep")) == "from the archive"


def test_one_process_stays_warm_while_calls_do_not_overlap(
    registry: FunctionRegistry, start: Start, tmp_path: Path
) -> None:
    code = (
        f"import os, pathlib; (pathlib.Path({str(tmp_path)!r}) / f'loaded-{{os.getpid()}}').touch()\n"
        "calls = 0\n"
        "def lambda_handler(event, context):\n"
        "    global calls\n"
        "    calls += 1\n"
        "    return calls\n"
    )
    registry.create("count", archive(reward=code), handler=HANDLER)
    function = start("count", workers=3)
    assert [invoke(function) for _ in range(3)] == [1, 2, 3]
    function.close()
    assert len(list(tmp_path.glob("loaded-*"))) == 1


def test_calls_that_overlap_get_processes_of_their_own_up_to_the_limit(
    registry: FunctionRegistry, start: Start
) -> None:
    code = (
        "import os, pathlib, time\n"
        "def lambda_handler(event, context):\n"
        "    folder = pathlib.Path(event)\n"
        "    (folder / str(os.getpid())).touch()\n"
        "    while len(list(folder.iterdir())) < 2: time.sleep(0.005)\n"
        "    return os.getpid()\n"
    )
    registry.create("meet", archive(reward=code), handler=HANDLER)
    function = start("meet", workers=2)
    folder = registry.root.parent / "meeting"
    folder.mkdir()
    event = json.dumps(str(folder)).encode()
    calls = [function.submit(event) for _ in range(4)]
    assert len({call.result(timeout=60).answer for call in calls}) == 2


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ("raise ValueError('no such rule')", "ValueError", "no such rule"),
        ("while True: pass", "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
        ("__import__('os')._exit(3)", "Runtime.ExitError", "exit status 3"),
        ("return {1, 2}", "Runtime.MarshalError", "not JSON"),
        ("return 'x' * (1 << 30)", "Runtime.OutOfMemory", "out of memory"),
    ],
)
def test_a_failed_call_answers_the_error_in_lambdas_form_and_the_next_is_fine(
    registry: FunctionRegistry, start: Start, body: str, error: str, message: str
) -> None:
    code = f"def lambda_handler(event, context):\n    if event == 'good': return 1\n    {body}\n"
    registry.create("fails", archive(reward=code), handler=HANDLER, timeout_s=1)
    function = start("fails")
    invocation = function.invoke(b"null")
    assert invocation.is_error
    payload = json.loads(invocation.payload)
    assert payload["errorType"] == error
    assert message in payload["errorMessage"]
    assert invoke(function, "good") == 1


def test_each_call_is_in_the_log_and_its_end_is_the_tail(registry: FunctionRegistry, start: Start) -> None:
    code = "def lambda_handler(event, context):\n    print('said', event, context.aws_request_id)\n    return 1\n"
    registry.create("talks", archive(reward=code), handler=HANDLER)
    invocation = start("talks").invoke(b"7")
    lines = invocation.log_tail.splitlines()
    request_id = invocation.request_id
    assert lines[0] == f"START RequestId: {request_id} Version: $LATEST"
    assert lines[1] == f"said 7 {request_id}"
    assert lines[2] == f"END RequestId: {request_id}"
    assert lines[3].startswith(f"REPORT RequestId: {request_id}\tDuration: ")
    assert [line.partition("\t")[2] for line in registry.log("talks").read().splitlines()] == lines


def test_the_tail_has_four_kilobytes_at_most(registry: FunctionRegistry, start: Start) -> None:
    code = "def lambda_handler(event, context):\n    print('é' * 9000)\n"
    registry.create("talks", archive(reward=code), handler=HANDLER)
    tail = start("talks").invoke(b"7").log_tail
    assert len(tail.encode()) <= TAIL_BYTES
    assert "REPORT" in tail


def test_the_log_is_bounded_and_keeps_the_newest(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("logs")
    log = FunctionLog(folder / "log", limit_bytes=1000)
    for index in range(100):
        log.append(f"line {index}\n")
    kept = [line.partition("\t")[2] for line in log.read().splitlines()]
    assert kept == [f"line {index}" for index in range(100 - len(kept), 100)]
    assert len(kept) > 20  # what was set aside last is still there
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 2000


def test_following_a_log_misses_nothing_when_it_is_set_aside(tmp_path_factory: pytest.TempPathFactory) -> None:
    log = FunctionLog(tmp_path_factory.mktemp("logs") / "log", limit_bytes=1000)
    log.append("line 0\n")
    stop, seen, written = threading.Event(), "", 1
    for text in log.follow(stop):
        seen += text
        if len(seen.splitlines()) == 61:
            stop.set()
        for index in range(written, min(written + 5, 61)):
            log.append(f"line {index}\n")
            written += 1
    assert [line.partition("\t")[2] for line in seen.splitlines()] == [f"line {index}" for index in range(61)]


def test_an_alias_is_what_a_run_trains_on_and_receipts_name_its_version(registry: FunctionRegistry) -> None:
    registry.create("maths", scoring(0.25), handler=HANDLER)
    registry.publish("maths")
    registry.set_alias("maths", "prod", "1")
    registry.update("maths", code=scoring(0.75))
    grader = build_grader(RewardConfig(function="maths:prod", isolation="process", workers=1))
    try:
        scores = grader.score(samples(3))
    finally:
        grader.close()
    assert [score.reward for score in scores] == [0.25, 0.25, 0.25]
    assert scores[0].receipt.grader.startswith("maths:1@")
    assert scores[0].receipt.limits == {"timeout_s": 60, "memory_mb": 512}


def test_a_call_that_takes_too_long_says_whose_limit_it_was(registry: FunctionRegistry) -> None:
    registry.create(
        "slow", archive(reward="def lambda_handler(e, c):\n    while True: pass\n"), handler=HANDLER, timeout_s=1
    )
    for limits, setting in (({}, "the timeout of function slow"), ({"timeout_s": 0.2}, "reward.timeout_s")):
        grader = build_grader(RewardConfig(function="slow", isolation="process", workers=1, retries=0, **limits))
        try:
            score = grader.score(samples(1))[0]
        finally:
            grader.close()
        assert score.receipt.verdict is Verdict.TIMEOUT
        assert f"raise {setting}" in score.receipt.message


def test_code_that_does_not_load_is_refused_before_any_work(registry: FunctionRegistry) -> None:
    registry.create("broken", archive(reward="import nowhere_to_be_found\n"), handler=HANDLER)
    with pytest.raises(GraderError, match="nowhere_to_be_found"):
        build_grader(RewardConfig(function="broken", isolation="process"))
    registry.delete("broken")
    assert not (registry.root / "broken").exists()


def test_a_function_runs_in_a_sandbox_unless_told_otherwise(
    registry: FunctionRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    if problem := sandbox_problem():
        pytest.skip(f"no sandbox here: {problem}")
    monkeypatch.setenv("JUDGE_KEY", "secret")
    code = (
        "import os, pathlib, reward\n"
        "def lambda_handler(event, context):\n"
        "    try:\n"
        "        (pathlib.Path(reward.__file__).parent / 'planted.py').touch()\n"
        "    except OSError:\n"
        "        reward_ = float('JUDGE_KEY' not in os.environ)\n"
        "        return [{'id': item['id'], 'aggregate_reward_score': reward_} for item in event]\n"
    )
    registry.create("kept", archive(reward=code), handler=HANDLER)
    grader = build_grader(RewardConfig(function="kept", workers=1))
    try:
        score = grader.score(samples(1))[0]
    finally:
        grader.close()
    assert (score.reward, score.receipt.isolation) == (1, "sandbox"), score.receipt.message
    assert list((registry.root / "kept").rglob("planted.py")) == []
