"""The bench on reward files in their own processes, and on the ready-made ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.rewards.bench.datasets import FACTS, SUMS

import tuneward.demo
from tuneward.config import RewardConfig
from tuneward.data import read_rows
from tuneward.rewards import LambdaFileGrader, build_reward
from tuneward.rewards.bench import Outcome, bench_grader, quick_bench

MakeGrader = Callable[..., LambdaFileGrader]

DEMO = Path(tuneward.demo.__file__).parent


def test_the_reward_of_the_demo_passes_clean() -> None:
    config = RewardConfig(file=DEMO / "reward.py")
    grader = build_reward(config)
    try:
        report = bench_grader(grader, read_rows(DEMO / "train.jsonl"), rebuild=lambda: build_reward(config), max_rows=8)
    finally:
        grader.close()
    assert report.is_clean, (report.having(Outcome.WARN), report.having(Outcome.FAIL))
    assert report.findings["other_process"].outcome is Outcome.PASS
    assert report.findings["crash_containment"].outcome is Outcome.PASS


def test_a_file_that_draws_lots_when_it_is_loaded_differs_between_processes(make_grader: MakeGrader) -> None:
    source = """
    import random
    STRICTNESS = random.random()

    def lambda_handler(event, context):
        right = [item["messages"][-1]["content"] == item["reference_answer"] for item in event]
        return [{"id": i["id"], "aggregate_reward_score": STRICTNESS * good} for i, good in zip(event, right)]
    """
    with make_grader(source) as grader:
        report = bench_grader(grader, SUMS, rebuild=lambda: make_grader(source))
    assert report.findings["determinism"].outcome is Outcome.PASS
    assert report.findings["other_process"].outcome is Outcome.FAIL


def test_a_file_that_answers_nan_fails_for_it_although_the_answer_was_refused(make_grader: MakeGrader) -> None:
    with make_grader("""
    def lambda_handler(event, context):
        return [{"id": item["id"], "aggregate_reward_score": float("nan") if "sorry" in item["messages"][-1]["content"]
                 else float(item["messages"][-1]["content"] == item["reference_answer"])} for item in event]
    """) as grader:
        report = quick_bench(grader, SUMS)
    assert report.findings["finite"].outcome is Outcome.FAIL
    assert report.findings["errors"].outcome is Outcome.WARN
    assert "sorry" in report.findings["finite"].example.completion  # type: ignore[union-attr]


def test_a_file_that_dies_of_deep_json_is_shown_with_the_text_that_killed_it(make_grader: MakeGrader) -> None:
    with make_grader("""
    import ctypes, json

    def lambda_handler(event, context):
        for item in event:
            text = item["messages"][-1]["content"]
            if text.startswith("[[[[[[") :
                ctypes.string_at(0)
        return [{"id": i["id"], "aggregate_reward_score": float(i["messages"][-1]["content"] == i["reference_answer"])}
                for i in event]
    """) as grader:
        report = bench_grader(grader, FACTS)
    finding = report.findings["odd_text"]
    assert finding.outcome is Outcome.WARN
    assert "1 of" in finding.message
    assert "SIGSEGV" in finding.message
    assert finding.example.completion.startswith("[[[")  # type: ignore[union-attr]
    assert report.findings["crash_containment"].outcome is Outcome.WARN, "without retries the batch is lost"
