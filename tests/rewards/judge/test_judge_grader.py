"""The judge as a grader: rewards, failures, and what is said before anything is scored."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.rewards.judge.server import WAIT_S, Answer, Request, ScriptedServer, chat, error, quoted, verdict

from tuneward.config.reward import GraderConfig
from tuneward.errors import GraderError
from tuneward.rewards import build_grader
from tuneward.rewards.judge.judge import JudgeGrader
from tuneward.types import Sample, Verdict

Serve = Callable[[Callable[[Request], Answer]], ScriptedServer]
MakeJudge = Callable[..., JudgeGrader]
Samples = Callable[..., list[Sample]]

CRITERIA_RUBRIC = """---
name: own
scale: [1, 5]
score_from: criteria
pass_at: 0.5
criteria:
  right: {met: It is right., weight: 3}
  short: {met: It is short., scale: [0, 10]}
---
{{response}}
"""


def test_a_completion_gets_the_judges_score_on_the_scale_of_0_to_1(
    serve: Serve, make_judge: MakeJudge, samples: Samples
) -> None:
    given = {"low": 1, "middle": 3, "high": 5, "above": 9, "below": -3}
    server = serve(lambda request: verdict(given[quoted(request)]))
    scores = make_judge(server, scale=(1, 5)).score(samples(*given))
    assert [score.reward for score in scores] == [0, 0.5, 1, 1, 0]
    assert [score.sample_id for score in scores] == [f"s-{index}" for index in range(5)]
    score = scores[1]
    assert score.receipt.verdict is Verdict.OK
    assert (score.receipt.attempts, score.receipt.isolation) == (1, "remote")
    assert score.receipt.wall_s == score.metrics["judge_latency_s"] > 0
    assert score.details["reasoning"] == "because"
    assert score.details["usage"] == {"calls": 1, "prompt_tokens": 11, "completion_tokens": 7, "cached_tokens": 3}


def test_the_judge_is_asked_deterministically_with_the_rubric_and_its_quotes(
    serve: Serve, make_judge: MakeJudge, samples: Samples
) -> None:
    server = serve(lambda _: verdict(1))
    make_judge(server).score(samples("56"))
    request = server.requests[0]
    assert request.body["temperature"] == 0.0
    assert "seed" not in request.body
    assert [quoted(request, name) for name in ("prompt", "reference", "response")] == ["7*8?", "56", "56"]
    assert request.text().startswith("Is the answer right?")
    assert "{{" not in request.text()
    schema = request.body["response_format"]["json_schema"]["schema"]
    assert schema["required"] == ["reasoning", "score"]


def test_criteria_make_the_reward_where_the_rubric_says_so(
    serve: Serve, make_judge: MakeJudge, samples: Samples
) -> None:
    server = serve(lambda request: verdict(2, right=quoted(request) == "yes", short=5))
    yes, no = make_judge(server, rubric=CRITERIA_RUBRIC).score(samples("yes", "no"))
    assert (yes.reward, no.reward) == (0.875, 0.125)
    assert yes.components == {"right", "short"}
    measured = {name: yes.metrics[name] for name in ("right", "short", "judge_score", "judge_passed")}
    assert measured == {"right": 1, "short": 0.5, "judge_score": 0.25, "judge_passed": 1}
    assert no.metrics["judge_passed"] == 0
    schema = server.requests[0].body["response_format"]["json_schema"]["schema"]
    kinds = {name: kind["type"] for name, kind in schema["properties"]["criteria"]["properties"].items()}
    assert kinds == {"right": "boolean", "short": "number"}


def test_an_essential_criterion_that_is_not_met_makes_the_reward_0(
    serve: Serve, make_judge: MakeJudge, samples: Samples
) -> None:
    rubric = CRITERIA_RUBRIC.replace("weight: 3", "is_essential: true")
    server = serve(lambda request: verdict(5, right=quoted(request) == "yes", short=10))
    yes, no = make_judge(server, rubric=rubric).score(samples("yes", "no"))
    assert (yes.reward, no.reward) == (1, 0)


def test_an_empty_completion_gets_0_without_a_call(serve: Serve, make_judge: MakeJudge, samples: Samples) -> None:
    server = serve(lambda _: verdict(1))
    scores = make_judge(server).score(samples("", " \n"))
    assert [score.reward for score in scores] == [0, 0]
    assert not any(score.is_failed for score in scores)
    assert not server.requests


@pytest.mark.parametrize(
    "bad",
    [
        "The score is 0.9.",
        'Here you are: {"reasoning": "x", "score": 0.9}',
        '{"reasoning": "x", "score": "0.9"}',
        '{"reasoning": "x", "score": true}',
        '{"reasoning": "x", "score": NaN}',
        '{"reasoning": "x", "score": 1e999}',
        '{"reasoning": "x", "score": 0.9, "score": 0.1}',
        '{"score": 0.9}',
        '[{"reasoning": "x", "score": 0.9}]',
        '{"reasoning": "x", "sco',
        "",
    ],
)
def test_an_unreadable_verdict_is_asked_for_once_more(
    serve: Serve, make_judge: MakeJudge, samples: Samples, bad: str
) -> None:
    server = serve(lambda request: chat(bad) if request.number == 1 else verdict(0.25))
    score = make_judge(server).score(samples("56"))[0]
    assert score.reward == 0.25
    assert score.receipt.attempts == 2
    assert (score.details["usage"]["calls"], score.details["usage"]["prompt_tokens"]) == (2, 22)
    repair = server.requests[1].body["messages"]
    assert [message["role"] for message in repair] == ["system", "user", "assistant", "user"]
    assert repair[:2] == server.requests[0].body["messages"]


@pytest.mark.parametrize(
    "good",
    [
        '```json\n{"reasoning": "x", "score": 0.25}\n```',
        '<think>{"score": 1}, or lower?</think>\n{"reasoning": "x", "score": 0.25}',
        'or lower?</think>{"reasoning": "x", "score": 0.25}',
        '{"reasoning": "it says </think>{}", "score": 0.25}',
    ],
)
def test_thoughts_and_fences_around_a_verdict_are_put_aside(
    serve: Serve, make_judge: MakeJudge, samples: Samples, good: str
) -> None:
    server = serve(lambda _: chat(good))
    assert make_judge(server).score(samples("56"))[0].reward == 0.25
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("answer", "kind", "words", "flag", "attempts"),
    [
        (chat("no idea"), Verdict.INVALID, "twice: it is not one JSON object. It said: no idea.", "parse", 2),
        (chat('{"reas', ending="length"), Verdict.INVALID, "cut after 7 tokens. Raise judge.max_tokens", "parse", 2),
        (chat(None, refusal="I will not."), Verdict.INVALID, "The judge judge-1 refused: I will not.", "refusal", 1),
        (error(403, "no"), Verdict.ERROR, "answered status 403: no.", "server", 1),
    ],
)
def test_a_judge_that_fails_makes_a_failed_score_with_the_reason(
    serve: Serve,
    make_judge: MakeJudge,
    samples: Samples,
    answer: Answer,
    kind: Verdict,
    words: str,
    flag: str,
    attempts: int,
) -> None:
    server = serve(lambda request: answer if quoted(request) == "bad" else verdict(1))
    bad, good = make_judge(server).score(samples("bad", "good"))
    assert good.reward == 1
    assert math.isnan(bad.reward)
    assert bad.receipt.verdict is kind
    assert words in bad.receipt.message
    assert bad.receipt.attempts == attempts
    assert bad.details["errors"] == {f"model_grader_{flag}_error": True}


def test_a_slow_judge_and_a_used_up_budget_are_told_apart(
    serve: Serve, make_judge: MakeJudge, samples: Samples
) -> None:
    is_over = threading.Event()

    def script(_: Request) -> Answer:
        is_over.wait(WAIT_S)
        return verdict(1)

    grader = make_judge(serve(script), connection={"timeout_s": 0.2, "max_calls": 1, "concurrency": 1})
    late, broke = grader.score(samples("a", "b"))
    is_over.set()
    assert late.receipt.verdict is Verdict.TIMEOUT
    assert broke.receipt.verdict is Verdict.ERROR
    assert "call budget" in broke.receipt.message


def test_a_row_without_a_variable_fails_alone_and_says_which(
    serve: Serve, make_judge: MakeJudge, samples: Samples
) -> None:
    server = serve(lambda _: verdict(1))
    grader = make_judge(server, rubric="rag\n{{context}} {{response}}", variables={"context": "metadata.article.text"})
    bad, good = *grader.score(samples("a", article={})), *grader.score(samples("a", article={"text": "water is wet"}))
    assert bad.receipt.verdict is Verdict.INVALID
    assert 'Row r-1, line 3 has no "metadata.article.text", which the rubric needs for {{context}}.' in (
        bad.receipt.message
    )
    assert bad.details["errors"] == {"invalid_variable_error": True}
    assert good.reward == 1
    assert quoted(server.requests[0], "context") == "water is wet"


def test_a_configuration_builds_a_judge_with_a_name_that_tells_it_apart() -> None:
    def build(**judge: Any) -> str:
        config = {"judge": {"model": "m", **judge}, "connection": {"url": "http://127.0.0.1:1/v1"}}
        grader = build_grader(GraderConfig.model_validate(config))
        grader.close()
        return grader.name

    assert build().startswith("judge:instruction_following@")
    assert build() == build()
    assert len({build(), build(votes=3), build(model="n"), build(rubric="tone")}) == 4


@pytest.mark.parametrize(
    ("judge", "words"),
    [
        ({"rubric": "sumarization"}, 'did you mean "summarization"'),
        ({"rubric": "nowhere/own.md"}, "no such rubric file"),
        ({"variables": {"contxt": "x"}}, 'uses no variable "contxt"'),
        ({"variables": {"response": "x"}}, "response is always the completion"),
        ({"scale": (5, 1)}, "judge.scale"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_scored(judge: dict[str, Any], words: str) -> None:
    with pytest.raises(GraderError, match=words):
        JudgeGrader(GraderConfig(judge={"model": "m", **judge}, connection={"url": "http://127.0.0.1:1/v1"}))


def test_scores_can_be_recorded_as_json(serve: Serve, make_judge: MakeJudge, samples: Samples) -> None:
    server = serve(lambda request: verdict(1) if quoted(request) == "good" else chat("x"))
    scores = make_judge(server).score(samples("good", "bad", ""))
    for score in scores:
        json.dumps(dict(score.details), allow_nan=False)
        assert all(math.isfinite(value) for value in score.metrics.values())
