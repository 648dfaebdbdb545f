"""What a program is given, in a process and in a sandbox, and what happens when there is no sandbox."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.rewards.sandbox.scene import descendants, samples_of

from tuneward.errors import GraderError
from tuneward.rewards.event_grader import EventGrader
from tuneward.rewards.pool import ProcessPool
from tuneward.rewards.program import Program
from tuneward.rewards.sandbox import probe
from tuneward.types import Score

MakePool = Callable[..., ProcessPool]

SAY = b"""
def lambda_handler(event, context):
    exec(event[0]["messages"][-1]["content"], {**globals(), "context": context})
    return [{"id": item["id"], "aggregate_reward_score": 1.0} for item in event]
"""


@pytest.fixture(params=["process", "sandbox"])
def isolation(request: pytest.FixtureRequest) -> str:
    if request.param == "sandbox" and (problem := probe.sandbox_problem()):
        pytest.skip(f"no sandbox here: {problem}")
    return request.param


@pytest.fixture
def make_pool(tmp_path: Path) -> Iterator[MakePool]:
    pools: list[ProcessPool] = []

    def make(source: bytes = SAY, workers: int = 1, is_lazy: bool = False, **fields: Any) -> ProcessPool:
        program = Program(source=source, handler="lambda_handler", **{"path": tmp_path / "reward.py", **fields})
        pools.append(ProcessPool(program, workers, is_lazy=is_lazy))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


def said(pool: ProcessPool, code: str) -> str:
    score: Score = EventGrader(pool, batch_size=64, retries=0).score(samples_of(code))[0]
    assert score.reward == 1.0, score.receipt
    return score.receipt.stdout_tail.strip()


def test_a_program_gets_its_own_variables(make_pool, isolation) -> None:
    pool = make_pool(isolation=isolation, environment={"MODE": "strict", "TZ": "Asia/Tokyo"})
    assert said(pool, "import os, time; print(os.environ['MODE'], time.tzname[0])") == "strict JST"
    assert said(pool, "import subprocess; subprocess.run('echo $MODE', shell=True)") == "strict"


def test_variables_of_the_trainer_stay_out_of_a_sandbox(make_pool, isolation, monkeypatch) -> None:
    monkeypatch.setenv("TUNEWARD_REWARD_KEY", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "k")
    pool = make_pool(isolation=isolation)
    keys = said(pool, "import os; print([name for name in os.environ if 'KEY' in name])")
    assert keys == ("['TUNEWARD_REWARD_KEY']" if isolation == "process" else "[]")


def test_a_program_is_told_its_context(make_pool, isolation) -> None:
    given = {
        "function_name": "grade",
        "function_version": "7",
        "invoked_function_arn": "arn:aws:lambda:eu-west-1:1:function:grade:7",
        "memory_limit_in_mb": "256",
        "log_group_name": "/logs",
        "log_stream_name": "one",
    }
    pool = make_pool(isolation=isolation, context=given)
    assert said(pool, f"print({{name: getattr(context, name) for name in {list(given)}}})") == str(given)
    assert said(make_pool(isolation=isolation), "print(context.function_name, context.function_version)") == (
        "reward $LATEST"
    )


def test_a_program_may_be_a_folder_of_files(make_pool, isolation, tmp_path) -> None:
    tmp_path.chmod(0o755)  # Root's sandboxes have users of their own.
    (tmp_path / "lib" / "deep").mkdir(parents=True)
    (tmp_path / "top.py").write_text("VALUE = 'top'")
    (tmp_path / "lib" / "words.txt").write_text("data")
    (tmp_path / "lib" / "deep" / "sibling.py").write_text("VALUE = 'sibling'")
    source = b"""
import top
from . import sibling
def lambda_handler(event, context):
    print(top.VALUE, sibling.VALUE, open("lib/words.txt").read(), __name__)
    return [{"id": item["id"], "aggregate_reward_score": 1.0} for item in event]
"""
    pool = make_pool(source, isolation=isolation, folder=tmp_path, path=tmp_path / "lib" / "deep" / "main.py")
    assert said(pool, "") == "top sibling data lib.deep.main"


def test_a_sandboxed_folder_is_read_only_and_alone(make_pool, tmp_path) -> None:
    if problem := probe.sandbox_problem():
        pytest.skip(f"no sandbox here: {problem}")
    folder = tmp_path / "function"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    folder.chmod(0o777)  # So that nothing but the sandbox itself forbids to write.
    (folder / "mine.txt").chmod(0o666)
    (tmp_path / "theirs.txt").write_text("theirs")
    pool = make_pool(isolation="sandbox", folder=folder, path=folder / "main.py")
    code = """
    import os
    for path in ("mine.txt", "../theirs.txt"): print(os.path.exists(path), end=" ")
    try: open("mine.txt", "a")
    except OSError as error: print(error.strerror)
    """
    assert said(pool, code) == "True False Read-only file system"


def test_a_file_alone_in_a_sandbox_reads_itself_and_nothing_beside_it(make_pool, tmp_path) -> None:
    if problem := probe.sandbox_problem():
        pytest.skip(f"no sandbox here: {problem}")
    (tmp_path / "helper.py").write_text("")
    pool = make_pool(isolation="sandbox")
    assert said(pool, "print(open(__file__).read().split()[1])") == "lambda_handler(event,"
    with pytest.raises(GraderError, match=r"ModuleNotFoundError.*in the environment that runs tuneward\.$"):
        make_pool(b"import helper", isolation="sandbox")


def test_without_bubblewrap_a_program_is_refused_unless_the_operator_allows_it(make_pool, monkeypatch) -> None:
    monkeypatch.setattr(probe, "sandbox_problem", lambda: "bwrap is not installed")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "k")
    with pytest.raises(GraderError, match=r"^reward\.py: it must run in a sandbox.*bwrap is not installed"):
        make_pool(isolation="sandbox")
    monkeypatch.setenv("TUNEWARD_ALLOW_UNISOLATED", "1")
    pool = make_pool(isolation="sandbox")
    assert pool.isolation == "not isolated"
    assert said(pool, "import os; print([name for name in os.environ if 'KEY' in name])") == "[]"
    score = EventGrader(pool, batch_size=1, retries=0).score(samples_of("pass"))[0]
    assert score.receipt.isolation == "not isolated"
    assert make_pool(isolation="process").isolation == "process"


WAIT = b"""
import os
def lambda_handler(event, context):
    fd = os.open(event["fifo"], os.O_RDONLY) if event.get("fifo") else None
    return os.getpid()
"""


def test_a_lazy_pool_starts_processes_when_all_others_are_busy(make_pool, tmp_path) -> None:
    pool = make_pool(WAIT, workers=3, is_lazy=True)

    def started() -> int:
        return sum(slot.process._popen is not None for slot in pool._slots)

    assert started() == 1
    pids = [pool.submit(b"{}").result().answer for _ in range(3)]
    assert len(set(pids)) == started() == 1
    fifos = [tmp_path / "one", tmp_path / "two"]
    for fifo in fifos:
        os.mkfifo(fifo)
    busy = [pool.submit(f'{{"fifo": "{fifo}"}}'.encode()) for fifo in fifos]
    third = pool.submit(b"{}").result()
    assert third.kind == "answer"
    assert started() == 3
    waiting = [pool.submit(b"{}") for _ in range(4)]
    for fifo in fifos:
        fifo.write_text("go on")
    answers = [future.result().answer for future in (*busy, *waiting)]
    assert len({*answers, third.answer}) == 3
    assert started() == 3


def test_calls_that_wait_for_a_closed_pool_end_as_closed(make_pool, tmp_path) -> None:
    os.mkfifo(tmp_path / "fifo")
    pool = make_pool(WAIT, workers=2, is_lazy=True)
    calls = [pool.submit(f'{{"fifo": "{tmp_path}/fifo"}}'.encode()) for _ in range(5)]
    pool.close()
    assert {call.result().kind for call in calls} == {"closed"}
    assert pool.submit(b"{}").result().kind == "closed"
    assert not [pid for pid in descendants(os.getpid()) if "keeper" in Path(f"/proc/{pid}/cmdline").read_text()]


@pytest.mark.skipif(os.getuid() != 0, reason="only root's sandboxes have users of their own")
def test_a_folder_that_its_sandbox_cannot_read_is_refused(make_pool, tmp_path) -> None:
    if problem := probe.sandbox_problem():
        pytest.skip(f"no sandbox here: {problem}")
    tmp_path.chmod(0o700)
    with pytest.raises(GraderError, match=r"chmod -R a\+rX"):
        make_pool(isolation="sandbox", folder=tmp_path)
