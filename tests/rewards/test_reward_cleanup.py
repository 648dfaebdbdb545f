"""No reward process outlives its grader, whoever ends first and however."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tuneward.errors import GraderError
from tuneward.types import Verdict

LINGER = """
    import os, time
    def linger(path, detach):
        if os.fork() == 0:
            if detach: os.setsid()
            with open(path + ".part", "w") as file: file.write(str(os.getpid()))
            os.rename(path + ".part", path)
            time.sleep(600)
    def lambda_handler(event, context):
        linger("child", False)
        linger("detached", True)
        while not (os.path.exists("child") and os.path.exists("detached")): time.sleep(0.002)
        while has(event, "hang"): pass
        return scores(event)
"""


def read_pid(path: Path) -> int:
    until = time.monotonic() + 20
    while not (path.exists() and path.read_text()):
        if time.monotonic() > until:
            pytest.fail(f"{path} was not written")
        time.sleep(0.005)
    return int(path.read_text())


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_a_timeout_ends_children_too_even_in_their_own_session(make_grader, samples, tmp_path, wait_gone) -> None:
    grader = make_grader(LINGER, timeout_s=0.4)
    assert grader.score(samples("hang"))[0].receipt.verdict is Verdict.TIMEOUT
    wait_gone(read_pid(tmp_path / "child"))
    wait_gone(read_pid(tmp_path / "detached"))


def test_close_ends_everything_and_leaves_no_zombie(make_grader, samples, tmp_path, wait_gone) -> None:
    before = children()
    grader = make_grader(LINGER, workers=2)
    assert grader.score(samples("a"))[0].reward == 1.0
    assert len(children() - before) == 2
    files = open_files()
    grader.close()
    assert children() == before
    assert open_files() == files - 4
    wait_gone(read_pid(tmp_path / "child"))
    wait_gone(read_pid(tmp_path / "detached"))


def test_close_during_a_call_fails_it_at_once(make_grader, samples, tmp_path) -> None:
    grader = make_grader(
        """
        import os, time
        def lambda_handler(event, context):
            with open("pid", "w") as file: file.write(str(os.getpid()))
            time.sleep(600)
        """,
        timeout_s=300,
        retries=5,
        batch_size=1,
    )
    scores = []
    thread = threading.Thread(target=lambda: scores.extend(grader.score(samples("a", "b", "c"))))
    thread.start()
    read_pid(tmp_path / "pid")
    grader.close()
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert [score.receipt.verdict for score in scores] == [Verdict.ERROR] * 3
    assert all("the grader was closed" in score.receipt.message for score in scores)


def test_a_forked_copy_of_the_trainer_is_told_to_build_its_own(make_grader, samples) -> None:
    grader = make_grader("def lambda_handler(event, context): return scores(event)")
    copy = os.fork()
    if copy == 0:
        try:
            grader.score(samples("a"))
        except GraderError:
            os._exit(5)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1]) == 5
    assert grader.score(samples("a"))[0].reward == 1.0


def test_a_grader_outlives_the_thread_that_built_it(make_grader, samples) -> None:
    source = """
        import os
        def lambda_handler(event, context):
            return [{"id": item["id"], "aggregate_reward_score": os.getpid()} for item in event]
    """
    built = []
    thread = threading.Thread(target=lambda: built.append(make_grader(source)))
    thread.start()
    thread.join()
    first, second = (built[0].score(samples("a"))[0].reward for _ in range(2))
    assert first == second


def test_a_killed_keeper_takes_its_busy_process_along(make_grader, samples, tmp_path, wait_gone) -> None:
    grader = make_grader("""
        import os
        def write(path, value):
            with open(path + ".part", "w") as file: file.write(str(value))
            os.rename(path + ".part", path)
        def lambda_handler(event, context):
            write("keeper", os.getppid())
            write("worker", os.getpid())
            while has(event, "spin"): pass
            return scores(event)
    """)
    scores = []
    thread = threading.Thread(target=lambda: scores.extend(grader.score(samples("spin"))))
    thread.start()
    worker, keeper = read_pid(tmp_path / "worker"), read_pid(tmp_path / "keeper")
    os.kill(keeper, signal.SIGKILL)
    wait_gone(worker)
    thread.join()
    assert "killed from outside" in scores[0].receipt.message
    assert grader.score(samples("aa"))[0].reward == 2.0


PARENT = """
import os, sys
from pathlib import Path
from tuneward.config import RewardConfig
from tuneward.rewards import LambdaFileGrader
from tuneward.types import Row, Sample
grader = LambdaFileGrader(RewardConfig(file=Path("reward.py"), timeout_s=600))
if "forked" in sys.argv and os.fork() == 0:  # holds our ends of the pipes, so the keeper sees no end of them
    Path("copy").write_text(str(os.getpid()))
    import time; time.sleep(600)
grader.score([Sample("s-0", Row("r", ()), "hang")])
"""


@pytest.mark.parametrize("how", ["plain", "forked"])
def test_a_killed_trainer_leaves_nothing_behind(tmp_path: Path, wait_gone, how: str) -> None:
    (tmp_path / "reward.py").write_text("""
import os, time
def has(event, word): return True
def write(path):
    with open(path + ".part", "w") as file: file.write(str(os.getpid()))
    os.rename(path + ".part", path)
def lambda_handler(event, context):
    if os.fork() == 0:
        os.setsid()
        write("detached")
        time.sleep(600)
    with open("keeper", "w") as file: file.write(str(os.getppid()))
    write("worker")
    while True: pass
""")
    parent = subprocess.Popen([sys.executable, "-c", PARENT, how], cwd=tmp_path)
    try:
        pids = {name: read_pid(tmp_path / name) for name in ("worker", "detached", "keeper")}
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    for pid in pids.values():
        wait_gone(pid)
    if how == "forked":
        os.kill(read_pid(tmp_path / "copy"), signal.SIGKILL)
