"""Chats over HTTP, asked with OpenAI's own client."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import openai
import pytest
from tests.serving import greedy

from tuneward.models.chat import ChatTokenizer
from tuneward.serve.catalog import FixedCatalog
from tuneward.serve.openai.chat_request import ResponseFormat
from tuneward.serve.openai.response_format import format_error, instructed

HELLO = [{"role": "user", "content": "Hello"}]
NEVER_END = {"2": -100}
"""A bias against the token that ends an answer."""


def ask(client: openai.OpenAI, model: str = "owner/tiny", messages: Any = HELLO, **options: Any) -> Any:
    return client.chat.completions.create(
        model=model, messages=messages, **{"temperature": 0, "max_tokens": 8} | options
    )


def test_an_answer_has_everything_that_the_contract_names(client: openai.OpenAI) -> None:
    answer = ask(client, logit_bias=NEVER_END)
    assert answer.object == "chat.completion"
    assert answer.id.startswith("chatcmpl-")
    assert answer._request_id.startswith("req_")
    assert (answer.model, answer.system_fingerprint) == ("owner/tiny", "base")
    choice = answer.choices[0]
    assert (choice.index, choice.finish_reason, choice.logprobs) == (0, "length", None)
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert answer.usage.completion_tokens == 8
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 8


def test_models_are_listed_and_found_by_names_with_slashes(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["owner/tiny", "tuned-0", "tuned-1", "tuned-2"]
    assert client.models.retrieve("owner/tiny").owned_by == "tuneward"
    versions = {client.models.retrieve(f"tuned-{n}").version for n in range(3)}  # type: ignore[attr-defined]
    assert len(versions) == 3


def test_three_adapters_hammered_at_once_never_answer_for_each_other(
    url: str, catalog: FixedCatalog, adapters: list[Path], tiny_chat_model: Path
) -> None:
    tokenizer = ChatTokenizer.load(tiny_chat_model)
    texts = ["Hello", "How are you?"]
    expected = {}
    for name, folder in [("owner/tiny", None), *((f"tuned-{n}", folder) for n, folder in enumerate(adapters))]:
        for text in texts:
            prompt = tokenizer.render_messages(({"role": "user", "content": text},))
            served = catalog.get(name)
            assert served is not None
            expected[name, text] = (tokenizer.decode(greedy(tiny_chat_model, folder, prompt, 8)), served.version)
    assert len(set(expected.values())) == 8

    async def one(client: openai.AsyncOpenAI, name: str, text: str) -> tuple[tuple[str, str], tuple[str, str]]:
        answer = await client.chat.completions.create(
            model=name, messages=[{"role": "user", "content": text}], temperature=0, max_tokens=8
        )
        return (name, text), (answer.choices[0].message.content or "", answer.system_fingerprint or "")

    async def everyone() -> list[Any]:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
            return await asyncio.gather(*(one(client, *key) for key in [*expected] * 6))

    got = asyncio.run(everyone())
    assert len(got) == 48
    for key, value in got:
        assert value == expected[key], key


def test_32_streams_at_once_equal_their_whole_answers(url: str, client: openai.OpenAI) -> None:
    options: dict[str, Any] = {"model": "tuned-1", "max_tokens": 24, "logit_bias": NEVER_END}
    whole = [client.chat.completions.create(messages=HELLO, seed=n, **options) for n in range(4)]  # type: ignore[arg-type]

    async def stream(client: openai.AsyncOpenAI, seed: int) -> tuple[str, Any]:
        text, usage = "", None
        async for chunk in await client.chat.completions.create(
            messages=HELLO, seed=seed, stream=True, stream_options={"include_usage": True}, **options
        ):  # type: ignore[call-overload]
            text += "".join(choice.delta.content or "" for choice in chunk.choices)
            usage = chunk.usage or usage
        return text, usage

    async def everyone() -> list[tuple[str, Any]]:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
            return await asyncio.gather(*(stream(client, n % 4) for n in range(32)))

    texts = asyncio.run(everyone())
    assert [text for text, _ in texts] == [whole[n % 4].choices[0].message.content for n in range(32)]
    assert {usage.completion_tokens for _, usage in texts} == {24}
    assert len({text for text, _ in texts}) == 4


def test_the_frames_of_a_stream_are_those_of_the_contract(url: str) -> None:
    body = {"model": "tuned-0", "messages": HELLO, "max_tokens": 5, "seed": 1, "stream": True, "n": 2}
    body |= {"stream_options": {"include_usage": True}, "logit_bias": NEVER_END, "logprobs": True, "top_logprobs": 1}
    with httpx.stream("POST", f"{url}/v1/chat/completions", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        frames = response.read().decode().split("\n\n")
    assert frames[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(frame.removeprefix("data: ")) for frame in frames[:-2]]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert [chunk["choices"][0]["delta"] for chunk in chunks[:2]] == [{"role": "assistant", "content": ""}] * 2
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["completion_tokens"]) == ([], 10)
    for index in (0, 1):
        own = [c["choices"][0] for c in chunks[:-1] if c["choices"][0]["index"] == index]
        assert (own[-1]["delta"], own[-1]["finish_reason"]) == ({}, "length")
        assert {choice["finish_reason"] for choice in own[:-1]} == {None}
        entries = [entry for choice in own if choice["logprobs"] for entry in choice["logprobs"]["content"]]
        assert len(entries) == 5
        assert all(len(entry["top_logprobs"]) == 1 and entry["bytes"] for entry in entries)


def test_stop_strings_and_parts_and_developers_are_understood(client: openai.OpenAI) -> None:
    whole = ask(client, max_tokens=20, logit_bias=NEVER_END).choices[0].message.content
    stopped = ask(client, max_tokens=20, stop=whole[4:6], logit_bias=NEVER_END).choices[0]
    assert (stopped.message.content, stopped.finish_reason) == (whole[: whole.find(whole[4:6])], "stop")
    system = {"role": "system", "content": "Be brief."}
    parts = [{"role": "developer", "content": "Be brief."}]
    parts += [{"role": "user", "content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]}]  # type: ignore[dict-item]
    assert ask(client, messages=parts).choices[0].message == ask(client, messages=[system, *HELLO]).choices[0].message


SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {"enum": [True, "x", 1.5]},
    "minItems": 2,
    "maxItems": 3,
}


@pytest.mark.parametrize("temperature", [0, 1, 2])
def test_answers_are_held_to_a_schema_even_those_of_a_random_model(client: openai.OpenAI, temperature: float) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": SCHEMA}}
    answer = ask(client, response_format=wanted, max_tokens=60, temperature=temperature, n=3, seed=4)
    for choice in answer.choices:
        value = json.loads(choice.message.content)
        jsonschema.validate(value, SCHEMA)
        assert choice.finish_reason == "stop"
        assert not hasattr(choice, "format_error")


def test_forbidden_tokens_have_no_logprob(client: openai.OpenAI) -> None:
    answer = ask(client, response_format={"type": "json_object"}, logprobs=True, top_logprobs=20, max_tokens=4)
    first = answer.choices[0].logprobs.content[0]
    assert first.token.startswith("{")
    assert 1 <= len(first.top_logprobs) <= 20
    assert all(entry.logprob > -1000 for entry in first.top_logprobs)


def test_a_schema_that_cannot_be_held_to_is_refused(client: openai.OpenAI) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(?=x)"}}, "required": ["a"]}
    with pytest.raises(openai.BadRequestError, match="cannot be held to"):
        ask(client, response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}})


def test_an_answer_that_the_limit_cuts_comes_as_it_is_with_the_reason(client: openai.OpenAI) -> None:
    schema = {"name": "n", "schema": {"type": "object", "required": ["score"]}}
    choice = ask(client, max_tokens=2, response_format={"type": "json_schema", "json_schema": schema}).choices[0]
    assert (choice.message.content[0], choice.finish_reason) == ("{", "length")
    assert "not JSON" in choice.format_error
    wanted = ResponseFormat.model_validate({"type": "json_schema", "json_schema": schema})
    assert format_error('{"score": 1}', wanted) is None
    assert format_error('{"grade": 1}', wanted) == "$: 'score' is a required property."
    assert format_error("[]", ResponseFormat(type="json_object")) == "The answer is not a JSON object."
    told = instructed([{"role": "system", "content": "Judge."}, {"role": "user", "content": "?"}], wanted)
    assert told[0]["content"].startswith("Judge.\n\nAnswer with one JSON object")
    assert '"required": ["score"]' in told[0]["content"]
    assert [message["role"] for message in instructed([{"role": "user", "content": "?"}], wanted)] == ["system", "user"]
