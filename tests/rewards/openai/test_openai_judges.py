"""`score_model` and `label_model` against a real HTTP server: what is asked, what is read, what fails how."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.rewards.judge.server import WAIT_S, Answer, Request, ScriptedServer, chat, error
from tests.rewards.openai.conftest import Grade

from tuneward.rewards.openai import OpenAIGrader
from tuneward.types import Row, Sample, Verdict

SCORE = {
    "type": "score_model",
    "name": "judge",
    "model": "gpt-4o-2024-08-06",
    "range": [0, 10],
    "input": [
        {"role": "developer", "content": "Rate from 0 to 10. Expected: {{item.want}}"},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Answer:"},
                {"type": "output_text", "text": "{{sample.output_text}}"},
            ],
        },
    ],
}
LABEL = {
    **{key: value for key, value in SCORE.items() if key != "range"},
    "type": "label_model",
    "labels": ["right", "close", "wrong"],
    "passing_labels": ["right", "close"],
}
STEP = {"description": "compare", "conclusion": "close"}


def judgement(**verdict: Any) -> Answer:
    return chat(json.dumps({"steps": [STEP], **verdict}))


@pytest.fixture
def serve() -> Iterator[Callable[..., ScriptedServer]]:
    servers: list[ScriptedServer] = []

    def make(script: Callable[[Request], Answer]) -> ScriptedServer:
        servers.append(ScriptedServer(script))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


Serve = Callable[[Callable[[Request], Answer]], ScriptedServer]


def at(server: ScriptedServer, **more: Any) -> dict[str, Any]:
    return {"url": server.url, "retries": 0, **more}


def test_the_judge_gets_the_rendered_conversation_and_the_fixed_shape(grade: Grade, serve: Serve) -> None:
    server = serve(lambda _: judgement(result=7.5))
    connection = at(server, models={"gpt-4o-2024-08-06": "local-judge"})
    (score,) = grade(SCORE, "56", item={"want": 56}, connection=connection)
    assert score.reward == 7.5
    body = server.requests[0].body
    assert body["messages"] == [
        {"role": "system", "content": "Rate from 0 to 10. Expected: 56"},
        {"role": "user", "content": "Answer:\n56"},
    ]
    assert body["model"] == "local-judge"
    assert body["temperature"] == 0
    shape = body["response_format"]["json_schema"]
    assert shape["strict"] is True
    assert list(shape["schema"]["properties"]) == ["steps", "result"]
    assert score.details["reasons"]["steps"] == [STEP]
    tokens = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18, "cached_tokens": 3}
    assert score.details["token_usage"] == {"judge-1": tokens}
    assert score.receipt.isolation == "remote"
    assert "errors" not in score.details


def test_sampling_parameters_reach_the_judge(grade: Grade, serve: Serve) -> None:
    server = serve(lambda _: judgement(result=1))
    params = {"seed": 3, "top_p": 0.5, "temperature": 0.7, "max_completions_tokens": 99}
    grade({**SCORE, "sampling_params": params}, "a", item={"want": 1}, connection=at(server))
    grade({**SCORE, "sampling_params": {"reasoning_effort": "low"}}, "a", item={"want": 1}, connection=at(server))
    first, second = (request.body for request in server.requests)
    assert (first["seed"], first["top_p"], first["temperature"], first["max_tokens"]) == (3, 0.5, 0.7, 99)
    assert second["reasoning_effort"] == "low"
    assert "temperature" not in second


@pytest.mark.parametrize(("result", "reward"), [(-5, 0), (99, 10), (3, 3), (0.25, 0.25)])
def test_numbers_are_cut_to_the_range(grade: Grade, serve: Serve, result: float, reward: float) -> None:
    server = serve(lambda _: judgement(result=result))
    assert grade(SCORE, "a", item={"want": 1}, connection=at(server))[0].reward == reward


def test_labels_pass_or_not(grade: Grade, serve: Serve) -> None:
    server = serve(lambda request: judgement(label=request.text().rpartition("\n")[2]))
    scores = grade(LABEL, "right", "close", "wrong", item={"want": 1}, connection=at(server))
    assert [score.reward for score in scores] == [1, 1, 0]
    schema = server.requests[0].body["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["label"]["enum"] == ["right", "close", "wrong"]


def test_a_judgement_with_text_around_it_is_read(grade: Grade, serve: Serve) -> None:
    server = serve(lambda _: chat('Here you are:\n```json\n{"steps": [], "result": 4}\n```'))
    assert grade(SCORE, "a", item={"want": 1}, connection=at(server))[0].reward == 4
    assert len(server.requests) == 1


def test_half_a_surrogate_pair_from_a_judge_can_be_stored(grade: Grade, serve: Serve) -> None:
    server = serve(lambda _: chat('{"steps": ["\\ud800"], "result": 4}'))
    (score,) = grade(SCORE, "a", item={"want": 1}, connection=at(server))
    assert score.details["reasons"]["steps"] == ["?"]


def test_a_judgement_that_cannot_be_read_is_asked_for_once_more(grade: Grade, serve: Serve) -> None:
    server = serve(lambda request: judgement(result=6) if request.number == 2 else chat("six"))
    (score,) = grade(SCORE, "a", item={"want": 1}, connection=at(server))
    assert score.reward == 6
    assert score.details["token_usage"]["judge-1"]["total_tokens"] == 36
    again = server.requests[1].body["messages"]
    assert again[-2] == {"role": "assistant", "content": "six"}
    assert again[-1]["role"] == "user"


@pytest.mark.parametrize(
    ("grader", "answer", "said"),
    [
        (SCORE, chat("six"), 'no JSON object but "six"'),
        (SCORE, judgement(result="6"), 'result is "6", which is no number'),
        (SCORE, judgement(result=True), "result is true"),
        (SCORE, chat('{"result": NaN}'), "no JSON object but"),
        (SCORE, judgement(score=6), "result is null"),
        (LABEL, judgement(label="fine"), 'label is "fine", which is none of right, close, wrong'),
        (LABEL, judgement(label=["right"]), 'label is ["right"]'),
    ],
)
def test_an_unreadable_judgement_is_a_failed_score(
    grade: Grade, serve: Serve, grader: dict[str, Any], answer: Answer, said: str
) -> None:
    server = serve(lambda _: answer)
    (score,) = grade(grader, "a", item={"want": 1}, connection=at(server))
    assert math.isnan(score.reward)
    assert score.receipt.verdict is Verdict.INVALID
    assert said in score.receipt.message
    assert score.details["errors"] == {"model_grader_parse_error": True}
    assert len(server.requests) == 2


def test_a_judgement_cut_off_says_what_to_raise(grade: Grade, serve: Serve) -> None:
    server = serve(lambda _: chat('{"steps": [', ending="length"))
    (score,) = grade(SCORE, "a", item={"want": 1}, connection=at(server))
    assert "raise sampling_params.max_completions_tokens" in score.receipt.message
    assert len(server.requests) == 1


def test_a_refusal_has_its_flag(grade: Grade, serve: Serve) -> None:
    server = serve(lambda _: chat(None, refusal="I cannot judge that."))
    (score,) = grade(SCORE, "a", item={"want": 1}, connection=at(server))
    assert math.isnan(score.reward)
    assert "refused to judge" in score.receipt.message
    assert score.details["errors"] == {"model_grader_refusal_error": True}


def test_a_server_that_fails_has_its_flag_and_words(grade: Grade, serve: Serve) -> None:
    server = serve(lambda _: error(500, "out of order"))
    (score,) = grade(SCORE, "a", item={"want": 1}, connection=at(server))
    assert score.receipt.verdict is Verdict.ERROR
    errors = score.details["errors"]
    assert errors["model_grader_server_error"] is True
    assert "out of order" in errors["model_grader_server_error_details"]


def test_a_server_that_is_silent_is_a_timeout(grade: Grade, serve: Serve) -> None:
    is_over = threading.Event()

    def script(_: Request) -> Answer:
        is_over.wait(WAIT_S)
        return judgement(result=1)

    server = serve(script)
    (score,) = grade(SCORE, "a", item={"want": 1}, connection=at(server, timeout_s=0.2))
    is_over.set()
    assert score.receipt.verdict is Verdict.TIMEOUT
    assert score.details["errors"]["model_grader_server_error"] is True


def test_a_row_without_the_field_costs_no_call(grade: Grade, serve: Serve) -> None:
    server = serve(lambda _: judgement(result=1))
    (score,) = grade(SCORE, "a", item={}, connection=at(server))
    assert score.details["errors"] == {"invalid_variable_error": True}
    assert score.is_failed
    assert not server.requests


def test_answers_are_judged_at_the_same_time(make_grader: Callable[..., OpenAIGrader], serve: Serve) -> None:
    all_here = threading.Barrier(4, timeout=WAIT_S)

    def script(request: Request) -> Answer:
        all_here.wait()
        return judgement(result=len(request.text()) - len("Answer:\n"))

    server = serve(script)
    grader = make_grader(SCORE, connection=at(server, concurrency=4))
    row = Row("r", (), None, {"want": 1})
    scores = grader.score([Sample(str(length), row, "x" * length) for length in range(1, 5)])
    assert [score.reward for score in scores] == [1, 2, 3, 4]
    assert server.most_in_flight == 4
