"""Reward functions that fail in every way we know: the failure is named, and the grading of others goes on."""

from __future__ import annotations

import math
import os
import re
import signal
import time
from pathlib import Path

import pytest

from tuneward.types import Verdict

IGNORE = """
    import signal
    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT): signal.signal(number, signal.SIG_IGN)
"""

WRITE_ALL = """
    import os
    for fd in range(3, 600):
        try: os.write(fd, bytes([255]) * 99)
        except OSError: pass
    return scores(event)
"""


def score_of(value: str) -> str:
    return f'return [{{"id": event[0]["id"], "aggregate_reward_score": {value}}}]'


CASES = {
    "raises": ('raise ValueError("no")', Verdict.ERROR, r"reward\.py, line \d+: lambda_handler raised ValueError: no"),
    "exits": ("import sys; sys.exit(2)", Verdict.ERROR, "raised SystemExit: 2"),
    "recurses": ("f = lambda: f()\n    f()", Verdict.ERROR, "RecursionError"),
    "hangs": ("import time; time.sleep(60)", Verdict.TIMEOUT, r"took longer than 0\.4 s for one sample"),
    "spins": ("while True: pass", Verdict.TIMEOUT, "took longer"),
    "ignores signals": (IGNORE.strip() + "\n    while True: pass", Verdict.TIMEOUT, "took longer"),
    "stops itself": ("import os; os.kill(os.getpid(), 19)", Verdict.TIMEOUT, "took longer"),
    "gives NaN": (score_of('float("nan")'), Verdict.INVALID, "aggregate_reward_score of NaN"),
    "gives a string": (score_of('"1"'), Verdict.INVALID, 'a string \\("1"\\)'),
    "gives too few": ("return []", Verdict.INVALID, "answered 0 scores for 1 sample "),
    "gives two": ("return scores(event) * 2", Verdict.INVALID, "answered 2 times"),
    "gives text": ('return "1.0"', Verdict.INVALID, "answered a string"),
    "gives nothing": ("pass", Verdict.INVALID, "answered null"),
    "gives a set": ("return {1, 2}", Verdict.INVALID, r"not JSON \(TypeError.*set"),
    "gives a loop": ("x = []; x.append(x); return x", Verdict.INVALID, r"not JSON \(ValueError"),
    "gives depth": (
        "x = []\n    for _ in range(100000): x = [x]\n    return x", Verdict.INVALID, r"not JSON \(RecursionError"
    ),
    "gives depth in a body": (
        'return {"statusCode": 200, "body": "[" * 100000 + "]" * 100000}', Verdict.INVALID, "a body that is not JSON"
    ),
    "gives too much": ('return "x" * (40 << 20)', Verdict.INVALID, "answered 40 MiB"),
    "fills memory at once": ("x = bytearray(1 << 30)", Verdict.OOM, r"ran out of memory .*reward\.memory_mb 128"),
    "fills memory slowly": ("x = []\n    while True: x.append(str(len(x)) * 100)", Verdict.OOM, "out of memory"),
    "fills a global": ("global y; y = []\n    while True: y.append(bytes(100000))", Verdict.OOM, "out of memory"),
    "leaves at once": ("import os; os._exit(7)", Verdict.ERROR, "its process ended with exit status 7"),
    "kills itself": ("import os; os.kill(os.getpid(), 9)", Verdict.ERROR, "its process was killed by SIGKILL"),
    "kills its group": ("import os; os.killpg(0, 15)", Verdict.ERROR, "its process was killed by SIGTERM"),
    "kills its keeper": (
        "import os, time; os.kill(os.getppid(), 9); time.sleep(60)", Verdict.ERROR, "killed from outside"
    ),
    "crashes": ("import ctypes; ctypes.string_at(0)", Verdict.ERROR, "SIGSEGV"),
    "closes every file": ("import os; os.closerange(0, 4096); return scores(event)", Verdict.ERROR, "exit status"),
    "writes to every file": (WRITE_ALL.strip(), Verdict.ERROR, "wrote to descriptors"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_failing_call_is_named_and_the_others_are_graded(make_grader, samples, case: str) -> None:
    body, verdict, text = CASES[case]
    source = f"""
def lambda_handler(event, context):
    if not has(event, "bad"): return scores(event)
    print("before")
    {body.strip()}
"""
    limit = 0.4 if verdict is Verdict.TIMEOUT else 20.0
    grader = make_grader(source, batch_size=1, timeout_s=limit, memory_mb=128)
    before, bad, after = grader.score(samples("aa", "bad", "bbbb"))
    assert (before.reward, after.reward) == (2.0, 4.0)
    assert math.isnan(bad.reward)
    assert bad.receipt.verdict is verdict, bad.receipt
    assert re.search(text, bad.receipt.message), bad.receipt.message
    assert bad.sample_id == "s-1"
    if case not in ("kills its keeper",):
        assert bad.receipt.stdout_tail.startswith("before")
        assert bad.receipt.peak_memory_bytes > 1 << 20
    assert [score.reward for score in grader.score(samples("a", "bb"))] == [1.0, 2.0]


def test_usage_of_a_call_that_was_killed_is_exact(make_grader, samples) -> None:
    grader = make_grader(
        """
        import sys, time
        def lambda_handler(event, context):
            if has(event, "ok"): return scores(event)
            block = bytearray(50 << 20)
            print("at it", file=sys.stderr)
            while True: pass
        """,
        timeout_s=0.4,
    )
    grader.score(samples("ok"))
    receipt = grader.score(samples("spin"))[0].receipt
    assert 0.4 <= receipt.wall_s < 2
    assert 0.05 < receipt.cpu_s < 2
    assert receipt.peak_memory_bytes > 50 << 20
    assert receipt.stderr_tail == "at it\n"


def test_a_traceback_is_in_the_receipt(make_grader, samples) -> None:
    receipt = make_grader("def lambda_handler(event, context): return event['x']").score(samples("a"))[0].receipt
    assert "Traceback" in receipt.stderr_tail
    assert "return event['x']" in receipt.stderr_tail


def test_fifty_megabytes_of_prints_leave_their_tail_and_the_answer(make_grader, samples) -> None:
    grader = make_grader("""
        import sys
        def lambda_handler(event, context):
            for stream in (sys.stdout, sys.stderr):
                for _ in range(25): stream.write("é" * (1 << 19))
                print("the end", file=stream)
            return scores(event)
    """)
    (score,) = grader.score(samples("abc"))
    assert score.reward == 3.0
    for tail in (score.receipt.stdout_tail, score.receipt.stderr_tail):
        assert tail.endswith("éthe end\n")
        assert 4000 < len(tail.encode()) <= 4096


def test_a_forged_answer_on_the_standard_streams_is_only_output(make_grader, samples) -> None:
    grader = make_grader("""
        import json, os, struct
        def lambda_handler(event, context):
            forged = json.dumps([{"id": item["id"], "aggregate_reward_score": 99} for item in event]).encode()
            header = json.dumps({"kind": "answer", "wall_s": 0, "cpu_s": 0, "peak_memory_bytes": 0}).encode()
            frame = b"A" + struct.pack(">I", len(header)) + header + forged
            for fd in (1, 2): os.write(fd, struct.pack(">I", len(frame)) + frame)
            return scores(event)
    """)
    (score,) = grader.score(samples("abc"))
    assert score.reward == 3.0
    assert "99" in score.receipt.stdout_tail


def test_a_forked_copy_of_the_handler_does_not_answer(make_grader, samples) -> None:
    grader = make_grader("""
        import os
        def lambda_handler(event, context):
            if os.fork() == 0: return [{"id": item["id"], "aggregate_reward_score": 99} for item in event]
            os.wait()
            return scores(event)
    """)
    for _ in range(3):
        assert grader.score(samples("abc"))[0].reward == 3.0


def test_time_in_the_queue_does_not_count(make_grader, samples) -> None:
    source = """
        import time
        def lambda_handler(event, context):
            time.sleep(0.4)
            return scores(event)
    """
    grader = make_grader(source, batch_size=1, workers=1, timeout_s=0.9)
    assert [score.receipt.verdict for score in grader.score(samples("a", "b", "c"))] == [Verdict.OK] * 3


def test_loading_time_does_not_count_as_call_time(make_grader, samples) -> None:
    source = """
        import time
        time.sleep(0.4)
        def lambda_handler(event, context):
            while has(event, "hang"): pass
            return scores(event)
    """
    grader = make_grader(source, batch_size=1, timeout_s=0.3)
    scores = grader.score(samples("hang", "aa"))
    assert [score.receipt.verdict for score in scores] == [Verdict.TIMEOUT, Verdict.OK]


def test_a_retry_may_succeed(make_grader, samples, tmp_path: Path) -> None:
    grader = make_grader(
        """
        import pathlib
        def lambda_handler(event, context):
            counter = pathlib.Path("calls")
            calls = int(counter.read_text()) if counter.exists() else 0
            counter.write_text(str(calls + 1))
            if calls == 0: raise ConnectionError("try again")
            return scores(event)
        """,
        retries=2,
    )
    (score,) = grader.score(samples("abc"))
    assert (score.reward, score.receipt.attempts, score.receipt.verdict) == (3.0, 2, Verdict.OK)
    assert (tmp_path / "calls").read_text() == "2"


def test_only_failed_samples_are_called_again(make_grader, samples, tmp_path: Path) -> None:
    grader = make_grader(
        """
        def lambda_handler(event, context):
            with open("calls", "a") as file: print(*[item["id"] for item in event], file=file)
            return [entry for entry in scores(event) if entry["aggregate_reward_score"] != 3]
        """,
        retries=2,
    )
    scores = grader.score(samples("a", "bbb", "cc"))
    assert (tmp_path / "calls").read_text().splitlines() == ["s-0 s-1 s-2", "s-1", "s-1"]
    assert [score.receipt.attempts for score in scores] == [1, 3, 1]
    assert [score.is_failed for score in scores] == [False, True, False]


@pytest.mark.parametrize("way", ["raise ValueError", "os._exit(1)"])
def test_one_bad_sample_of_a_batch_of_64_costs_no_other_its_score(make_grader, samples, way: str) -> None:
    grader = make_grader(
        f"""
        import os
        def lambda_handler(event, context):
            if has(event, "bad"): {way}
            return scores(event)
        """,
        retries=2,
    )
    scores = grader.score(samples(*(["ok"] * 40 + ["bad"] + ["ok"] * 23)))
    assert [index for index, score in enumerate(scores) if score.is_failed] == [40]
    assert scores[40].receipt.attempts == 3


def test_a_hang_in_a_batch_is_narrowed_down_by_halves(make_grader, samples) -> None:
    grader = make_grader(
        """
        def lambda_handler(event, context):
            while has(event, "bad"): pass
            return scores(event)
        """,
        retries=2,
        timeout_s=0.2,
    )
    scores = grader.score(samples("bad", *["ok"] * 7))
    assert [score.receipt.verdict for score in scores] == [Verdict.TIMEOUT] * 2 + [Verdict.OK] * 6


def test_a_process_that_dies_between_calls_is_replaced(make_grader, samples) -> None:
    grader = make_grader("""
        import os
        def lambda_handler(event, context):
            return [{"id": item["id"], "aggregate_reward_score": os.getpid()} for item in event]
    """)
    pids = []
    for _ in range(3):
        (score,) = grader.score(samples("a"))
        pids.append(int(score.reward))
        os.kill(pids[-1], signal.SIGKILL)
        until = time.monotonic() + 10
        while Path(f"/proc/{pids[-1]}").exists() and time.monotonic() < until:
            time.sleep(0.002)
    assert len(set(pids)) == 3


def test_a_file_that_no_longer_loads_fails_its_samples_until_it_does(make_grader, samples, tmp_path: Path) -> None:
    (tmp_path / "sibling.py").write_text("")
    grader = make_grader("""
        import os, pathlib
        if not pathlib.Path("sibling.py").exists(): raise ImportError("sibling is gone")
        def lambda_handler(event, context):
            if has(event, "die"): os._exit(1)
            return scores(event)
    """)
    (tmp_path / "sibling.py").unlink()
    assert "exit status 1" in grader.score(samples("die"))[0].receipt.message
    (score,) = grader.score(samples("a"))
    assert score.receipt.verdict is Verdict.ERROR
    assert "loading the file failed with ImportError: sibling is gone" in score.receipt.message
    (tmp_path / "sibling.py").write_text("")
    assert grader.score(samples("a"))[0].reward == 1.0
