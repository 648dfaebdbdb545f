"""Bodies of Converse → messages for templates, and what models write → blocks."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic.alias_generators import to_camel
from tests.serve.bedrock import joined, said

from tuneward.engine.serving.request import ChoiceEnd, Delta, Done, Event, ServingRequest
from tuneward.serve.bedrock.converse import chat_of
from tuneward.serve.bedrock.converse_answer import ConverseAnswer
from tuneward.serve.bedrock.converse_request import ConverseBody
from tuneward.serve.catalog import FixedCatalog, ServedModel
from tuneward.serve.inference import Chat, call_schema
from tuneward.types import FinishReason

ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}


def test_calls_and_results_of_tools_become_messages_of_their_own() -> None:
    use = {"toolUseId": "t1", "name": "add", "input": {"a": 1}}
    results = [
        {"toolResult": {"toolUseId": "t1", "content": [{"json": {"sum": 3}}, {"text": "!"}], "status": "success"}},
        {"toolResult": {"toolUseId": "t2", "content": []}},
        {"text": "And "},
        {"text": "now?"},
    ]
    thought = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}}
    body = {
        "system": [{"text": "A"}, {"cachePoint": {"type": "default"}}, {"text": "B"}],
        "messages": [
            said("Hello"),
            {"role": "assistant", "content": [thought, {"text": "Well. "}, {"toolUse": use}]},
            {"role": "user", "content": results},
        ],
        "toolConfig": {"tools": [{"toolSpec": {"name": "add", "inputSchema": {"json": {"type": "object"}}}}]},
    }
    chat = chat_of(ConverseBody.model_validate(body))
    function = {"name": "add", "arguments": {"a": 1}}
    assert chat.messages == [
        {"role": "system", "content": "A\nB"},
        {"role": "user", "content": "Hello"},
        {
            "role": "assistant",
            "content": "Well. ",
            "tool_calls": [{"id": "t1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "t1", "content": '{"sum": 3}!'},
        {"role": "tool", "tool_call_id": "t2", "content": ""},
        {"role": "user", "content": "And now?"},
    ]
    assert chat.tools == (ADD,)


def test_settings_of_converse_and_of_models_reach_the_engine() -> None:
    config = {"maxTokens": 5, "temperature": 0.5, "topP": 0.9, "stopSequences": ["a", "b"]}
    fields = {"top_k": 7, "seed": -3, "reasoningConfig": {"type": "enabled"}, "unknown": [1]}
    body = {"messages": [said("x")], "inferenceConfig": config, "additionalModelRequestFields": fields}
    settings_ = chat_of(ConverseBody.model_validate(body)).settings
    assert settings_ == ServingRequest(
        prompt=(), max_tokens=5, temperature=0.5, top_p=0.9, top_k=7, seed=-3, stop=("a", "b")
    )
    for nested in ({"topK": 7}, {"inferenceConfig": {"topK": 7}}):
        body["additionalModelRequestFields"] = nested
        assert chat_of(ConverseBody.model_validate(body)).settings.top_k == 7


def test_references_within_a_tools_schema_hold_where_it_is_moved() -> None:
    parameters = {"properties": {"$ref": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "string"}}}
    schema = call_schema([ADD, {"function": {"name": "f", "parameters": parameters}}])
    moved = schema["anyOf"][1]["properties"]["arguments"]
    assert moved["properties"]["$ref"] == {"$ref": "#/anyOf/1/properties/arguments/$defs/a"}


class _Events:
    """What the engine would say."""

    def __init__(self, pieces: list[str], end: ChoiceEnd):
        self._events: list[Event] = [*(Delta(0, piece) for piece in pieces), end, Done(3, 4, 1)]

    async def __aiter__(self) -> AsyncIterator[Event]:
        for event in self._events:
            yield event


def answer(model: ServedModel, pieces: list[str], reason: FinishReason = FinishReason.STOP) -> tuple[Any, list[Any]]:
    made = ConverseAnswer(Chat([], ServingRequest(()), (ADD,)), model, ServingRequest(()))

    async def collect() -> list[Any]:
        events: Any = _Events(pieces, ChoiceEnd(0, reason))
        return [{name: payload} async for name, payload in made.events(events)]

    events = asyncio.run(collect())
    return made.body(), events


@pytest.fixture(scope="module")
def model(catalog: FixedCatalog) -> ServedModel:
    served = catalog.get("owner/tiny")
    assert served is not None
    return served


WRITTEN = (
    '<think>\nLet me see.</think>\n\nI add.\n<tool_call>\n{"name": "add", "arguments": {"a": [1, "ü"]}}\n</tool_call>'
)


@given(cuts=st.sets(st.integers(1, len(WRITTEN) - 1)))
@settings(max_examples=50, deadline=None)
def test_thoughts_texts_and_calls_are_blocks_however_they_come(model: ServedModel, cuts: set[int]) -> None:
    at = [0, *sorted(cuts), len(WRITTEN)]
    body, events = answer(model, [WRITTEN[a:b] for a, b in itertools.pairwise(at)])
    thought, text, use = body["output"]["message"]["content"]
    assert thought == {"reasoningContent": {"reasoningText": {"text": "Let me see."}}}
    assert text == {"text": "I add."}
    assert (use["toolUse"]["name"], use["toolUse"]["input"]) == ("add", {"a": [1, "ü"]})
    assert body["stopReason"] == "tool_use"
    stops = [event["contentBlockStop"]["contentBlockIndex"] for event in events if "contentBlockStop" in event]
    assert stops == [0, 1, 2]
    starts = [event["contentBlockStart"]["start"] for event in events if "contentBlockStart" in event]
    assert starts == [{"toolUse": {"toolUseId": use["toolUse"]["toolUseId"], "name": "add"}}]


def test_an_answer_without_a_word_is_one_empty_block(model: ServedModel) -> None:
    body, events = answer(model, [])
    assert body["output"]["message"]["content"] == [{"text": ""}]
    assert body["stopReason"] == "end_turn"
    assert joined(events)["texts"] == {0: ""}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = st.sampled_from(
    ["text", "json", "toolUse", "toolResult", "role", "content", "toolSpec", "name", "inputSchema", "tools", "type"]
) | st.sampled_from(
    ["toolChoice", "any", "tool", "maxTokens", "textFormat", "structure", "jsonSchema", "schema", "toolUseId", "input"]
)
PARAMETERS = [name for name in map(to_camel, ConverseBody.model_fields) if name != "messages"]
SHAPED = st.recursive(
    JSON | st.sampled_from(["user", "assistant", "{}", "json_schema"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=3),
    max_leaves=8,
)


@given(
    body=st.fixed_dictionaries(
        {"messages": st.just([said("x")]) | SHAPED},
        optional=dict.fromkeys(PARAMETERS, SHAPED),
    )
)
@settings(max_examples=300, deadline=None)
def test_no_body_is_more_than_refused(body: Any) -> None:
    try:
        checked = ConverseBody.model_validate(body)
    except ValidationError:
        return
    chat_of(checked)
