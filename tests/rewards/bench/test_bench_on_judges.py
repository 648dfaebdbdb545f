"""The bench on a judge behind a real HTTP server: an honest one passes, a gullible one is shown what it fell for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.rewards.bench.datasets import FACTS
from tests.rewards.bench.graders import token_f1
from tests.rewards.judge.server import Answer, Request, ScriptedServer, quoted, verdict

from tuneward.config import RewardConfig
from tuneward.rewards import build_reward
from tuneward.rewards.bench import BenchReport, Nature, Outcome, bench_grader, nature_of, without_cache
from tuneward.rewards.bench.answers import FILLER

RUBRIC = "Is it right?\n\n{{prompt}} {{reference}} {{response}}\n"

Test = Callable[[Callable[[Request], Answer]], tuple[BenchReport, ScriptedServer]]


@pytest.fixture
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Test]:
    servers: list[ScriptedServer] = []
    rubric = tmp_path_factory.mktemp("rubric") / "right.md"
    rubric.write_text(RUBRIC)

    def test(script: Callable[[Request], Answer]) -> tuple[BenchReport, ScriptedServer]:
        servers.append(ScriptedServer(script))
        connection = {"url": servers[-1].url, "retries": 0}
        config = without_cache(RewardConfig(judge={"model": "m", "rubric": str(rubric)}, connection=connection))
        assert nature_of(config) is Nature.JUDGE
        grader = build_reward(config)
        try:
            return bench_grader(grader, FACTS, nature=nature_of(config), max_rows=3), servers[-1]
        finally:
            grader.close()

    yield test
    for server in servers:
        server.close()


def test_an_honest_judge_passes_clean_and_is_asked_anew_each_time(run: Test) -> None:
    def judge(request: Request) -> Answer:
        reference, response = quoted(request, "reference"), quoted(request)
        return verdict(token_f1(response.replace(FILLER.strip(), ""), reference))

    report, server = run(judge)
    assert report.is_clean, (report.having(Outcome.WARN), report.having(Outcome.FAIL))
    asked = [request.text() for request in server.requests]
    assert any(asked.count(text) > 5 for text in asked), "no verdict comes from a cache"


def test_a_judge_that_obeys_the_answer_is_shown_with_the_words_it_obeyed(run: Test) -> None:
    def judge(request: Request) -> Answer:
        reference, response = quoted(request, "reference"), quoted(request)
        return verdict(1.0 if "10/10" in response or reference in response else 0.0)

    report, _ = run(judge)
    finding = report.findings["injection"]
    assert finding.outcome is Outcome.WARN
    assert finding.example is not None
    assert "10/10" in finding.example.completion
    assert (finding.example.score, finding.example.against_score) == (1.0, 0.0)
    assert not report.has_failed
