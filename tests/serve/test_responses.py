"""The Responses API, asked with OpenAI's own client."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from pydantic import BaseModel
from tests.serve.writing import writes
from tests.service import app_with
from tests.serving import LIMITS, start_engine
from tests.tiny import save_tiny_chat_model

from tuneward.accounts.principal import Principal
from tuneward.accounts.projects import create_project
from tuneward.serve.catalog import ServedModel
from tuneward.serve.server import Server, bind

MODEL = "tuned-1"
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"enum": ["Rome", "Oslo"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


def ask(client: openai.OpenAI, input: Any = "Hello", **options: Any) -> Any:
    return client.responses.create(
        **{"model": MODEL, "input": input, "temperature": 0, "max_output_tokens": 8} | options
    )


def said(client: openai.OpenAI, *messages: tuple[str, str], **options: Any) -> str:
    """What chat completions answer."""
    chat: Any = [{"role": role, "content": content} for role, content in messages]
    answer = client.chat.completions.create(model=MODEL, messages=chat, temperature=0, max_tokens=8, **options)
    return answer.choices[0].message.content or ""


def test_an_answer_is_that_of_chat_completions_with_everything_that_the_contract_names(client: openai.OpenAI) -> None:
    answer = ask(client, metadata={"team": "a"})
    assert answer.output_text == said(client, ("user", "Hello"))
    assert (answer.object, answer.model, answer.error) == ("response", MODEL, None)
    assert answer.id.startswith("resp_")
    assert answer.system_fingerprint.startswith("adapter-")
    message = answer.output[0]
    assert (message.type, message.role, message.id[:4]) == ("message", "assistant", "msg_")
    assert (message.content[0].annotations, message.content[0].logprobs) == ([], [])
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    assert (answer.usage.output_tokens_details.reasoning_tokens, answer.metadata) == (0, {"team": "a"})
    items = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": [
        {"type": "input_text", "text": "Hel"}, {"type": "input_text", "text": "lo"}]}]  # fmt: skip
    expected = said(client, ("system", "Be brief."), ("user", "Hello"))
    assert ask(client, items).output_text == ask(client, instructions="Be brief.").output_text == expected


def test_a_conversation_goes_on_from_a_stored_answer_without_its_instructions(client: openai.OpenAI) -> None:
    first = ask(client, instructions="Be brief.")
    second = ask(client, "And you?", previous_response_id=first.id)
    turns = (("user", "Hello"), ("assistant", first.output_text), ("user", "And you?"))
    assert second.output_text == said(client, *turns)
    assert second.previous_response_id == first.id
    third = ask(client, "?", previous_response_id=second.id)
    assert third.output_text == said(client, *turns, ("assistant", second.output_text), ("user", "?"))


def test_stored_answers_can_be_read_and_deleted_and_others_were_never_there(client: openai.OpenAI) -> None:
    kept = ask(client, [{"role": "user", "content": str(n)} for n in range(3)])
    assert client.responses.retrieve(kept.id).output == kept.output
    contents = [item.content for item in client.responses.input_items.list(kept.id, limit=2)]  # type: ignore[union-attr]
    assert contents == ["2", "1", "0"]
    client.responses.delete(kept.id)
    for unknown in (kept.id, ask(client, store=False).id):
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(unknown)
        with pytest.raises(openai.BadRequestError) as refused:
            ask(client, previous_response_id=unknown)
        assert (refused.value.param, refused.value.code) == ("previous_response_id", "previous_response_not_found")


@pytest.fixture
def two_projects(tiny_chat_model: Path, tmp_path: Path) -> Iterator[tuple[openai.OpenAI, openai.OpenAI]]:
    ids: dict[str, str] = {}

    async def authenticate(request: Any) -> Principal:
        name = request.headers["authorization"].split()[-1]
        return Principal(f"key_{name}", ids[name], "000000000001", "developer")

    app = app_with(tmp_path, [ServedModel(MODEL, start_engine(tiny_chat_model), 1)], authenticate=authenticate)
    ids |= {name: create_project(app.state.services.database, name).id for name in "ab"}
    with Server(app, bind("127.0.0.1", 0)) as server:
        one, other = (openai.OpenAI(base_url=f"{server.url}/v1", api_key=name, max_retries=0) for name in ids)
        yield one, other


def test_another_projects_answers_look_like_missing_ones(two_projects: tuple[openai.OpenAI, openai.OpenAI]) -> None:
    one, other = two_projects
    kept = ask(one)
    assert one.responses.retrieve(kept.id).id == kept.id
    for call in (other.responses.retrieve, other.responses.delete, other.responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            call(kept.id)
    with pytest.raises(openai.BadRequestError, match="not found"):
        ask(other, previous_response_id=kept.id)
    assert one.responses.retrieve(kept.id).id == kept.id


class Verdict(BaseModel):
    is_good: bool
    mark: int


@pytest.fixture
def wide(tmp_path: Path) -> Iterator[openai.OpenAI]:
    """A client of a model whose context has room for a schema."""
    model = save_tiny_chat_model(tmp_path / "wide", context=1024)
    engine = start_engine(model, replace(LIMITS, context=1024))
    with Server(app_with(tmp_path / "home", [ServedModel(MODEL, engine, 1)]), bind("127.0.0.1", 0)) as server:
        yield openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0)


def test_answers_are_held_to_a_schema_and_parsed(wide: openai.OpenAI) -> None:
    answer = wide.responses.parse(model=MODEL, input="Judge.", text_format=Verdict, max_output_tokens=60)
    assert isinstance(answer.output_parsed, Verdict)
    with wide.responses.stream(model=MODEL, input="Judge.", text_format=Verdict, max_output_tokens=60) as stream:
        assert isinstance(stream.get_final_response().output_parsed, Verdict)


def test_an_answer_that_the_limit_cuts_is_incomplete(client: openai.OpenAI) -> None:
    with writes("Hello, world"):
        cut = ask(client, max_output_tokens=5)
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert (cut.output_text, cut.output[0].status) == ("Hello", "incomplete")


def test_the_events_of_a_stream_are_those_of_the_contract(client: openai.OpenAI) -> None:
    with writes("Hello, world"):
        events = list(ask(client, stream=True, max_output_tokens=50, top_logprobs=1))
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
    ]  # fmt: skip
    assert kinds[-4:] == [
        "response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed",
    ]  # fmt: skip
    assert set(kinds[4:-4]) == {"response.output_text.delta"}
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].response.status == "in_progress"
    assert events[0].response.output == []
    deltas = events[4:-4]
    last = events[-1].response
    assert "".join(event.delta for event in deltas) == last.output_text == events[-4].text == "Hello, world"
    assert len([entry for event in deltas for entry in event.logprobs]) == last.usage.output_tokens
    assert len(last.output[0].content[0].logprobs) == last.usage.output_tokens
    assert client.responses.retrieve(last.id).output_text == "Hello, world"


def test_what_the_client_gathers_from_a_stream_is_the_whole_answer(client: openai.OpenAI) -> None:
    with writes("Hello, world"), client.responses.stream(model=MODEL, input="Hello") as stream:
        assert "".join(event.delta for event in stream if event.type == "response.output_text.delta") == "Hello, world"
        assert stream.get_final_response().output_text == "Hello, world"


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "weather"}])
def test_a_tool_is_called_and_its_result_goes_back(client: openai.OpenAI, choice: Any) -> None:
    answer = ask(client, tools=[WEATHER], tool_choice=choice, max_output_tokens=60)
    (call,) = answer.output
    assert (call.type, call.name, call.id[:3]) == ("function_call", "weather", "fc_")
    assert call.arguments in ('{"city": "Rome"}', '{"city": "Oslo"}')
    assert (answer.status, answer.tools[0].name) == ("completed", "weather")
    result = [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}]
    after = ask(client, result, previous_response_id=answer.id)
    again = ask(client, [{"role": "user", "content": "Hello"}, call.model_dump(), *result], store=False)
    assert after.output_text == again.output_text
    assert after.usage.input_tokens == again.usage.input_tokens > answer.usage.input_tokens


def test_a_streamed_call_comes_in_its_own_events(client: openai.OpenAI) -> None:
    with client.responses.stream(
        model=MODEL, input="Hello", tools=[WEATHER], tool_choice="required", max_output_tokens=60
    ) as stream:
        events = list(stream)
        final = stream.get_final_response()
    kinds = [event.type for event in events]
    assert kinds[2:-1] == [
        "response.output_item.added", "response.function_call_arguments.delta",
        "response.function_call_arguments.done", "response.output_item.done",
    ]  # fmt: skip
    assert events[-3].arguments == final.output[0].arguments  # type: ignore[union-attr]


def test_reasoning_is_an_item_of_its_own(client: openai.OpenAI) -> None:
    with writes("<think>\nTwo and two.\n</think>\n\nFour."):
        answer = ask(client, max_output_tokens=80)
        events = list(ask(client, max_output_tokens=80, stream=True))
    reasoning, message = answer.output
    assert (reasoning.type, reasoning.content[0].text, reasoning.summary) == ("reasoning", "Two and two.", [])
    assert message.content[0].text == answer.output_text == "Four."
    assert answer.usage.output_tokens_details.reasoning_tokens == len("Two and two.")  # of a vocabulary of bytes
    kinds = [event.type for event in events]
    assert kinds[2:4] == ["response.output_item.added", "response.reasoning_part.added"]
    assert "response.reasoning_text.delta" in kinds
    assert kinds.index("response.reasoning_part.done") < kinds.index("response.output_text.delta")
    assert [event.output_index for event in events if event.type == "response.output_item.done"] == [0, 1]


def test_what_does_not_fit_loses_its_oldest_messages_when_that_is_wanted(client: openai.OpenAI) -> None:
    turns = [("user", "x" * 180), ("assistant", "y" * 60), ("user", "Hello")]
    long = [{"role": role, "content": content} for role, content in turns]
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, long)
    assert refused.value.code == "context_length_exceeded"
    cut = ask(client, long, truncation="auto").output_text
    assert cut == said(client, *turns[1:])


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0]"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": []}, "input"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"background": True}, "background"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"model": "nobody"}, "model"),
    ],
)
def test_bad_requests_name_the_parameter(url: str, change: dict[str, Any], param: str) -> None:
    response = httpx.post(f"{url}/v1/responses", json={"model": MODEL, "input": "Hello"} | change)
    assert response.status_code == (404 if "model" in change else 400)
    assert response.json()["error"]["param"] == param, response.text


def test_tokens_are_counted_as_the_model_reads_them(client: openai.OpenAI) -> None:
    asked: Any = {"model": MODEL, "instructions": "Be brief.", "tools": [WEATHER], "input": "Hello"}
    counted = client.responses.input_tokens.count(**asked)
    first = client.responses.create(**asked, max_output_tokens=4)
    assert (counted.object, counted.input_tokens) == ("response.input_tokens", first.usage.input_tokens)  # type: ignore[union-attr]
    after: Any = {"model": MODEL, "input": "And?", "previous_response_id": first.id}
    second = client.responses.create(**after, max_output_tokens=4)
    assert client.responses.input_tokens.count(**after).input_tokens == second.usage.input_tokens  # type: ignore[union-attr]
