"""Several models asked at once answer as each would alone."""

from __future__ import annotations

import json

import httpx
import openai
import pytest

QUESTION = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 12, "seed": 7}
MODELS = ["owner/tiny", "tuned-0", "tuned-1"]


def alone(client: openai.OpenAI, model: str) -> str | None:
    return client.chat.completions.create(model=model, **QUESTION).choices[0].message.content  # type: ignore[call-overload,no-any-return]


def test_each_answers_as_it_would_alone(url: str, client: openai.OpenAI) -> None:
    answer = httpx.post(f"{url}/api/compare", json={"models": MODELS, **QUESTION}, timeout=60)
    assert answer.status_code == 200, answer.text
    answers = answer.json()["answers"]
    assert [one["model"] for one in answers] == MODELS
    texts = [one["choices"][0]["message"]["content"] for one in answers]
    assert texts == [alone(client, model) for model in MODELS]
    assert len(set(texts)) == len(MODELS)


def test_chunks_of_all_come_in_one_stream(url: str, client: openai.OpenAI) -> None:
    texts = dict.fromkeys(range(len(MODELS)), "")
    lines = []
    with httpx.stream("POST", f"{url}/api/compare", json={"models": MODELS, "stream": True, **QUESTION}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    assert lines.pop() == "[DONE]"
    for frame in map(json.loads, lines):
        for choice in frame["chunk"]["choices"]:
            texts[frame["index"]] += choice["delta"].get("content") or ""
    assert list(texts.values()) == [alone(client, model) for model in MODELS]


def test_each_may_have_a_conversation_of_its_own(url: str, client: openai.OpenAI) -> None:
    conversations = [
        [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": said}, {"role": "user", "content": "?"}]
        for said in ("One", "Two", "Three")
    ]
    asked = {"models": ["owner/tiny"] * 3, "conversations": conversations, "max_tokens": 12, "seed": 7}
    answer = httpx.post(f"{url}/api/compare", json=asked, timeout=60)
    assert answer.status_code == 200, answer.text
    texts = [one["choices"][0]["message"]["content"] for one in answer.json()["answers"]]
    for messages, text in zip(conversations, texts, strict=True):
        alone = client.chat.completions.create(model="owner/tiny", messages=messages, max_tokens=12, seed=7)  # type: ignore[call-overload]
        assert alone.choices[0].message.content == text
    assert len(set(texts)) > 1


def test_one_that_cannot_answer_does_not_keep_the_others_from_it(url: str, client: openai.OpenAI) -> None:
    asked = {"models": ["other", "tuned-0", "tuned-1"], "stream": True, **QUESTION}
    with httpx.stream("POST", f"{url}/api/compare", json=asked) as answer:
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    assert lines.pop() == "[DONE]"
    frames = [json.loads(line) for line in lines]
    (refusal,) = [frame for frame in frames if "error" in frame]
    assert (refusal["index"], refusal["error"]["code"]) == (0, "model_not_found")
    for index in (1, 2):
        deltas = [frame["chunk"]["choices"][0]["delta"] for frame in frames if frame["index"] == index]
        assert "".join(delta.get("content") or "" for delta in deltas) == alone(client, asked["models"][index])


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"models": []}, 400, "models"),
        ({"models": ["owner/tiny"] * 5}, 400, "models"),
        ({"models": ["owner/tiny", "other"]}, 404, "model"),
        ({"temperature": 9}, 400, "temperature"),
        ({"messages": "Hello"}, 400, "messages"),
        ({"conversations": [QUESTION["messages"]] * 3}, 400, None),
        ({"messages": None, "conversations": []}, 400, None),
    ],
)
def test_what_cannot_be_asked_is_refused(url: str, change: dict[str, object], status: int, param: str) -> None:
    answer = httpx.post(f"{url}/api/compare", json={"models": MODELS, **QUESTION, **change}, timeout=60)
    assert answer.status_code == status
    assert answer.json()["error"]["param"] == param
