"""Grading with a user's file in real processes: what goes right, and files that are refused at the start."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tuneward.config import RewardConfig
from tuneward.errors import GraderError
from tuneward.rewards import LambdaFileGrader, build_grader
from tuneward.types import Row, Sample, Verdict

PLAIN = "def lambda_handler(event, context): return scores(event)"


def test_scores_come_in_the_order_of_the_samples(make_grader, samples) -> None:
    grader = make_grader("def lambda_handler(event, context): return scores(event)[::-1]", batch_size=2, workers=2)
    assert [(s.sample_id, s.reward) for s in grader.score(samples("a", "bb", "ccc", "dddd", "eeeee"))] == [
        ("s-0", 1.0),
        ("s-1", 2.0),
        ("s-2", 3.0),
        ("s-3", 4.0),
        ("s-4", 5.0),
    ]


def test_no_samples_no_call(make_grader) -> None:
    assert make_grader("def lambda_handler(event, context): 1/0").score([]) == []


def test_a_wrapped_answer_is_accepted(make_grader, samples) -> None:
    grader = make_grader("""
        import json
        def lambda_handler(event, context):
            return {"statusCode": 200, "body": json.dumps(scores(event))}
    """)
    assert [s.reward for s in grader.score(samples("a", "bb"))] == [1.0, 2.0]


def test_the_handler_gets_the_event_of_the_contract(make_grader, samples) -> None:
    grader = make_grader("""
        def lambda_handler(event, context):
            item, = event
            assert set(item) == {"id", "messages", "metadata", "reference_answer", "difficulty_level"}
            assert item["messages"][-1] == {"role": "assistant", "content": "é\\ud800"}, item["messages"]
            assert item["metadata"]["reference_answer"] == {"value": 56}
            return scores(event)
    """)
    (score,) = grader.score(samples("é\ud800"))
    assert score.receipt.message == ""


def test_the_context_has_the_documented_attributes(make_grader, samples) -> None:
    grader = make_grader(
        """
        def lambda_handler(event, context):
            texts = [context.function_name, context.function_version, context.invoked_function_arn,
                     context.aws_request_id, context.log_group_name, context.log_stream_name]
            assert all(isinstance(text, str) and text for text in texts)
            assert int(context.memory_limit_in_mb) == 256
            assert 0 < context.get_remaining_time_in_millis() <= 7000
            return scores(event)
        """,
        timeout_s=7,
        memory_mb=256,
    )
    assert grader.score(samples("a"))[0].receipt.message == ""


def test_the_handler_runs_in_the_main_thread_and_may_use_alarms(make_grader, samples) -> None:
    grader = make_grader("""
        import signal, time
        class Late(Exception): pass
        def late(*_): raise Late
        def lambda_handler(event, context):
            signal.signal(signal.SIGALRM, late)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            try:
                time.sleep(60)
            except Late:
                return scores(event)
    """)
    for _ in range(2):
        receipt = grader.score(samples("a"))[0].receipt
        assert receipt.message == "", receipt.stderr_tail


def test_an_alarm_left_pending_does_not_hit_the_next_call(make_grader, samples) -> None:
    grader = make_grader("""
        import signal, time
        def lambda_handler(event, context):
            if has(event, "first"): signal.setitimer(signal.ITIMER_REAL, 0.05)
            else: time.sleep(0.1)
            return scores(event)
    """)
    assert [grader.score(samples(text))[0].receipt.message for text in ("first", "second")] == ["", ""]


def test_our_own_modules_cannot_be_imported_by_accident(make_grader, samples) -> None:
    grader = make_grader("""
        import importlib.util
        def lambda_handler(event, context):
            assert importlib.util.find_spec("warden") is None
            return scores(event)
    """)
    assert grader.score(samples("a"))[0].receipt.message == ""


def test_siblings_and_relative_paths_count_from_the_file(make_grader, samples, tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text("FACTOR = 10")  # the name of one of our own modules
    (tmp_path / "words.txt").write_text("hello")
    grader = make_grader("""
        import worker
        def lambda_handler(event, context):
            value = worker.FACTOR * len(open("words.txt").read())
            return [{"id": item["id"], "aggregate_reward_score": value} for item in event]
    """)
    assert grader.score(samples("a"))[0].reward == 50


def test_an_edit_in_mid_run_does_not_change_the_grader(make_grader, samples, tmp_path: Path) -> None:
    grader = make_grader("""
        import os
        def lambda_handler(event, context):
            if has(event, "die"): os._exit(3)
            return scores(event)
    """)
    name = grader.name
    (tmp_path / "reward.py").write_text("not python at all (")
    assert grader.score(samples("die"))[0].is_failed
    score = grader.score(samples("abc"))[0]
    assert (score.reward, score.receipt.grader) == (3.0, name)


def test_the_name_carries_the_hash_of_the_content(make_grader) -> None:
    first, second = make_grader(PLAIN).name, make_grader(PLAIN + "\n").name
    assert first.startswith("reward.py@")
    assert len(first) == len("reward.py@") + 8
    assert first != second


def test_processes_have_a_fixed_hash_seed_and_no_secrets(make_grader, samples, monkeypatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("PYTHONHASHSEED", "77")
    monkeypatch.setenv("TUNEWARD_REWARD_KEY", "meant for it")
    grader = make_grader("""
        import os, sys
        def lambda_handler(event, context):
            assert "SECRET_TOKEN" not in os.environ
            assert os.environ["TUNEWARD_REWARD_KEY"] == "meant for it"
            assert not any(name.startswith(("torch", "tuneward")) for name in sys.modules)
            return [{"id": item["id"], "aggregate_reward_score": hash("text") % 1000} for item in event]
    """)
    expected = subprocess.run(
        [sys.executable, "-c", "print(hash('text') % 1000)"], env={"PYTHONHASHSEED": "0"}, capture_output=True
    )
    score = grader.score(samples("a"))[0]
    assert score.receipt.message == ""
    assert score.reward == int(expected.stdout)


def test_receipts_hold_usage_and_tails(make_grader, samples) -> None:
    grader = make_grader("""
        import os, sys, time
        def lambda_handler(event, context):
            print("to out", "x" * 9000, "end of out"); print("to err", file=sys.stderr); os.write(1, b"raw\\xff")
            block = bytearray(40 << 20) if has(event, "big") else None
            if block: print("kept", file=sys.stderr)
            time.sleep(0.05)
            return scores(event)
    """)
    (big,) = grader.score(samples("big"))
    (small,) = grader.score(samples("s"))
    assert big.receipt.stdout_tail.endswith("end of out\nraw�")
    assert len(big.receipt.stdout_tail.encode()) <= 4096
    assert big.receipt.stderr_tail == "to err\nkept\n"
    assert small.receipt.stderr_tail == "to err\n"  # of this call only
    assert 0.05 <= big.receipt.wall_s < 5
    assert 0 < big.receipt.cpu_s < big.receipt.wall_s + 1
    assert 40 << 20 < big.receipt.peak_memory_bytes < 120 << 20
    assert small.receipt.peak_memory_bytes < 40 << 20  # of this call, not of the process's life
    assert big.receipt.attempts == 1


def test_several_threads_may_score_at_once(make_grader, samples) -> None:
    grader = make_grader(PLAIN, workers=2, batch_size=3)
    results: dict[int, list[float]] = {}

    def work(size: int) -> None:
        results[size] = [score.reward for score in grader.score(samples(*("x" * size for _ in range(20))))]

    threads = [threading.Thread(target=work, args=(size,)) for size in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {size: [float(size)] * 20 for size in range(1, 9)}


def test_batches_run_in_parallel_on_all_workers(make_grader, samples) -> None:
    # Each of the two calls waits for the other one: on one process this could only time out.
    grader = make_grader(
        """
        import os, pathlib, time
        def lambda_handler(event, context):
            pathlib.Path(f"seen-{event[0]['id']}").touch()
            while len(list(pathlib.Path(".").glob("seen-*"))) < 2: time.sleep(0.002)
            return scores(event)
        """,
        workers=2,
        batch_size=1,
    )
    assert [score.reward for score in grader.score(samples("a", "bb"))] == [1.0, 2.0]


def test_a_sample_that_is_no_json_fails_alone_and_is_not_sent(make_grader, samples) -> None:
    good = samples("a")
    odd = Sample("odd", Row("r", (), {1, 2}), "x")
    scores = make_grader(PLAIN).score([odd, *good])
    assert [score.receipt.verdict for score in scores] == [Verdict.INVALID, Verdict.OK]
    assert "Sample odd cannot be sent to reward.py: lambda_handler as JSON" in scores[0].receipt.message


def test_a_closed_grader_says_so(make_grader, samples) -> None:
    grader = make_grader(PLAIN)
    grader.close()
    grader.close()
    with pytest.raises(GraderError, match="the grader is closed"):
        grader.score(samples("a"))


def test_build_grader_gives_a_working_grader(tmp_path: Path, samples) -> None:
    file = tmp_path / "my-reward.py"
    file.write_text("class G:\n  def __call__(self, event, context): return {'aggregate_reward_score': 2}\nscore = G()")
    grader = build_grader(RewardConfig(file=file, handler="score"))
    try:
        assert grader.score(samples("a"))[0].reward == 2.0
    finally:
        grader.close()


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("x = 1\ndef f(:\n", r"reward\.py, line 2: loading the file failed with SyntaxError: "),
        ("\nimport no_such_thing", r"line 2: .*ModuleNotFoundError: No module named 'no_such_thing'\. Install"),
        ("x = 1 / 0", r"line 1: .*ZeroDivisionError"),
        ("import sys\nsys.exit(4)", r"line 2: .*SystemExit: 4"),
        ("import os\nos._exit(4)", r"the process ended with exit status 4 while loading"),
        ("import time\ntime.sleep(60)", r"took longer than 0\.3 s"),
        ("", r'no function "lambda_handler" \(it defines no function\)\.'),
        (
            "def lamda_handler(e, c): pass\ndef other(): pass",
            r'\(functions found: lamda_handler, other\); did you mean "lamda_handler"\?',
        ),
        ("def lambda_handler(event): pass", r"lambda_handler takes \(event\)\. Define it as lambda_handler\(event, "),
        ("def lambda_handler(a, b, c): pass", r"lambda_handler takes \(a, b, c\)"),
        ("lambda_handler = 3", r"lambda_handler is a int, not a function"),
        ("async def lambda_handler(e, c): pass", r"is an async function"),
    ],
)
def test_a_file_that_cannot_work_is_refused_with_the_reason(tmp_path: Path, source: str, text: str) -> None:
    file = tmp_path / "reward.py"
    file.write_text(source)
    with pytest.raises(GraderError, match=text):
        LambdaFileGrader(RewardConfig(file=file), import_timeout_s=0.3 if "sleep" in source else 30)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GraderError, match="no such reward file"):
        LambdaFileGrader(RewardConfig(file=tmp_path / "reward.py"))
    with pytest.raises(GraderError, match="not a Python file"):
        LambdaFileGrader(RewardConfig(file=tmp_path / "reward.txt"))
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(GraderError, match="cannot be read"):
        LambdaFileGrader(RewardConfig(file=tmp_path / "folder.py"))
