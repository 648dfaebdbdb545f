"""Calls of tools and reasoning in what models write, and how chat completions tell them."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serve.writing import writes

from tuneward.serve.openai.reasoning import Thought, ThoughtSplitter
from tuneward.serve.openai.tool_calls import CallFinder, ToolCall, parse_tool_calls

HELLO: Any = [{"role": "user", "content": "Hello"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"enum": ["Rome", "Oslo"]}}, "required": ["city"]},
    },
}
TIME: Any = {"type": "function", "function": {"name": "time"}}
TOOLS = [WEATHER, TIME]
ROME = ToolCall("weather", '{"city": "Rome"}')
NOW = ToolCall("time", "{}")


@pytest.mark.parametrize(
    ("text", "rest", "calls"),
    [
        ('<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>', "", [ROME]),
        ('Let me look.\n<tool_call>{"name": "time", "arguments": {}}</tool_call>', "Let me look.", [NOW]),
        ('<tool_call>{"name":"time"}</tool_call>\n<tool_call>{"name":"time"}</tool_call>\n', "", [NOW, NOW]),
        ('<tool_call>{"name": "weather", "arguments": "{\\"city\\": \\"Rome\\"}"}', "", [ROME]),
        ('[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Rome"}, "id": "1"}]', "", [ROME]),
        ('<|python_tag|>{"name": "weather", "parameters": {"city": "Rome"}}', "", [ROME]),
        ('{"type": "function", "name": "weather", "parameters": {"city": "Rome"}}', "", [ROME]),
        ('{"name": "time", "parameters": {}}; {"name": "time", "parameters": {}}', "", [NOW, NOW]),
        # What is not exactly a call of a given tool is text, to the last character.
        ('{"name": "weather", "arguments": {"city": "Rome"}, "why": "asked"}', None, []),
        ('{"name": "Rome", "arguments": {}}', None, []),
        ('{"name": "weather"', None, []),
        ('Use {"name": "time", "arguments": {}} for this.', None, []),
        ('<tool_call>{"name": "other", "arguments": {}}</tool_call> ', None, []),
        ('<tool_call>{"name": "time", "arguments": [1]}</tool_call>', None, []),
        ('<tool_call>{"name": "time", "arguments": {"x": NaN}}</tool_call>', None, []),
        ("Write <tool_call> before a call.\n", None, []),
        ("[TOOL_CALLS] none", None, []),
        ("  indented\n", None, []),
    ],
)
def test_calls_are_found_in_every_form_and_nothing_else_is_one(text: str, rest: str | None, calls: list[Any]) -> None:
    assert parse_tool_calls(text, TOOLS) == (text if rest is None else rest, tuple(calls))


MARKUP = st.sampled_from(
    ["<tool_call>", "</tool_call>", "<", "<tool", "_call>", "[TOOL_CALLS]", "<|python_tag|>", '{"name": "time"}', "{}",
     '{"name": "weather", "arguments": {"city": "Rome"}}', '{"name"', ': "time"', "}", "[", "]", ";", " ", "\n", "x",
     "<think>", "</think>", "<thi", "nk>", "</th"]
)  # fmt: skip
PIECES = st.lists(MARKUP | st.text(max_size=5), max_size=12)


@given(PIECES)
@settings(max_examples=300, deadline=None)
def test_however_an_answer_is_cut_into_pieces_the_same_comes_out(pieces: list[str]) -> None:
    finder = CallFinder(frozenset({"weather", "time"}))
    found = [part for piece in pieces for part in finder.push(piece)] + finder.finish()
    text = "".join(part for part in found if isinstance(part, str))
    assert (text, tuple(part for part in found if isinstance(part, ToolCall))) == parse_tool_calls(
        "".join(pieces), TOOLS
    )
    assert thoughts(pieces) == thoughts(["".join(pieces)])


@given(st.text())
@settings(max_examples=300, deadline=None)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert parse_tool_calls(text, TOOLS) == (text, ())
    assert parse_tool_calls(text, []) == (text, ())
    assert thoughts([text]) == ("", text)


@given(PIECES)
@settings(max_examples=300, deadline=None)
def test_without_tools_even_marks_are_text(pieces: list[str]) -> None:
    assert parse_tool_calls("".join(pieces), []) == ("".join(pieces), ())


def thoughts(pieces: list[str], *, is_open: bool = False) -> tuple[str, str]:
    splitter = ThoughtSplitter(is_open=is_open)
    found = [part for piece in pieces for part in splitter.push(piece)] + splitter.finish()
    reasoning = "".join(part.text for part in found if isinstance(part, Thought))
    return reasoning, "".join(part for part in found if isinstance(part, str))


def test_a_thought_is_only_at_the_beginning_and_may_be_opened_by_the_prompt() -> None:
    assert thoughts(["<think>\nHm.\n</think>\n\nYes. <think>"]) == ("Hm.", "Yes. <think>")
    assert thoughts(["Hm. </think> Yes."], is_open=True) == ("Hm.", "Yes.")
    assert thoughts(["<think>never closed"]) == ("never closed", "")
    assert thoughts(["In HTML, <think>x</think>"]) == ("", "In HTML, <think>x</think>")


def test_held_text_comes_as_soon_as_it_cannot_be_a_call() -> None:
    finder = CallFinder(frozenset({"time"}))
    assert finder.push('{"na') == []
    assert finder.push('ture": 1') == ['{"nature": 1']
    assert finder.push(" <tool") == []
    assert finder.push("box>") == [" <toolbox>"]


def chat(client: openai.OpenAI, **options: Any) -> Any:
    return client.chat.completions.create(model="owner/tiny", messages=HELLO, max_tokens=120, **options)


def test_a_call_is_told_in_the_form_of_chat_completions(client: openai.OpenAI) -> None:
    text = 'Looking.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'
    with writes(text):
        choice = chat(client, tools=TOOLS).choices[0]
        without = chat(client).choices[0]
        refused = chat(client, tools=TOOLS, tool_choice="none").choices[0]
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", "Looking.")
    (call,) = choice.message.tool_calls
    assert (call.type, call.function.name, call.function.arguments) == ("function", "weather", '{"city": "Rome"}')
    assert call.id.startswith("call_")
    assert without.message.content == refused.message.content == text
    assert (without.finish_reason, without.message.tool_calls) == ("stop", None)


def test_calls_are_streamed_by_index_and_gathered_by_the_client(client: openai.OpenAI) -> None:
    text = '<tool_call>{"name": "weather", "arguments": {"city": "Rome"}}</tool_call><tool_call>{"name": "time"}'
    with writes(text), client.chat.completions.stream(
        model="owner/tiny", messages=HELLO, max_tokens=120, tools=TOOLS
    ) as stream:  # fmt: skip
        events = list(stream)
        choice = stream.get_final_completion().choices[0]
    assert [call.function.name for call in choice.message.tool_calls or []] == ["weather", "time"]
    assert choice.finish_reason == "tool_calls"
    assert not [event for event in events if event.type == "content.delta" and event.delta]
    deltas = [c.delta for e in events if e.type == "chunk" for c in e.chunk.choices if c.delta.tool_calls]
    assert [delta.tool_calls[0].index for delta in deltas if delta.tool_calls] == [0, 1]


@pytest.mark.parametrize("temperature", [0, 2])
@pytest.mark.parametrize(
    ("choice", "names"),
    [("required", {"weather", "time"}), ({"type": "function", "function": {"name": "weather"}}, {"weather"})],
)
def test_a_call_can_be_forced_even_from_a_random_model(
    client: openai.OpenAI, choice: Any, names: set[str], temperature: float
) -> None:
    answer = chat(client, tools=TOOLS, tool_choice=choice, temperature=temperature, n=3, seed=1).choices
    for made in answer:
        assert made.finish_reason == "tool_calls", made
        assert made.message.content is None
        call = made.message.tool_calls[0].function
        assert call.name in names
        if call.name == "weather":
            assert json.loads(call.arguments)["city"] in ("Rome", "Oslo")


def test_reasoning_has_a_field_of_its_own(client: openai.OpenAI) -> None:
    with writes("<think>\nTwo and two.\n</think>\n\nFour."):
        answer = chat(client)
        chunks = list(chat(client, stream=True, logprobs=True))
    message = answer.choices[0].message
    assert (message.content, message.reasoning_content) == ("Four.", "Two and two.")
    assert answer.usage.completion_tokens_details.reasoning_tokens == 12
    deltas = [chunk.choices[0].delta for chunk in chunks]
    assert "".join(getattr(delta, "reasoning_content", "") for delta in deltas) == "Two and two."
    assert "".join(delta.content or "" for delta in deltas) == "Four."
    logprobs = [chunk.choices[0].logprobs.content for chunk in chunks if chunk.choices[0].logprobs]
    assert sum(map(len, logprobs)) == chat_tokens(answer)


def chat_tokens(answer: Any) -> int:
    return int(answer.usage.completion_tokens)


@pytest.mark.parametrize(
    "change",
    [
        {"tools": [{"type": "custom", "custom": {}}]},
        {"tools": [{"type": "function", "function": {"name": "a b"}}]},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": [1]}}]},
        {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "other"}}},
        {"tools": TOOLS, "tool_choice": "sometimes"},
        {
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": 7}}}],
            "tool_choice": "required",
        },
    ],
)
def test_tools_that_cannot_be_called_are_refused(client: openai.OpenAI, change: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        chat(client, **change)
    assert refused.value.param in ("tools", "tool_choice")
