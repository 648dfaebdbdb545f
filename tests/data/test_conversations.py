"""Conversations for supervised fine-tuning: what is read, and what is refused with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuneward.data.conversations import Conversation, iter_conversations, read_conversations
from tuneward.errors import DataError

USER = {"role": "user", "content": "2+2?"}
ANSWER = {"role": "assistant", "content": "4"}


def write(path: Path, *rows: object) -> Path:
    file = path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_every_answer_is_learned_but_those_of_weight_0(tmp_path: Path) -> None:
    turns = [USER, ANSWER | {"weight": 0}, USER, ANSWER | {"weight": 1}, USER, ANSWER]
    (found,) = read_conversations(write(tmp_path, {"messages": turns}))
    assert found.learned == (3, 5)
    assert all("weight" not in message for message in found.row.messages)


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([USER], "no message is the assistant's"),
        ([USER, ANSWER | {"weight": 0}], "every assistant message has weight 0"),
        ([ANSWER, USER, ANSWER], "an answer to nothing"),
        ([USER, ANSWER | {"weight": 2}], "weight is 2; expected 0 or 1"),
        ([USER, ANSWER | {"weight": True}], "weight is true"),
        ("text", "messages is"),
    ],
)
def test_what_cannot_be_learned_is_refused_with_its_line(tmp_path: Path, messages: object, reason: str) -> None:
    file = write(tmp_path, {"messages": [USER, ANSWER]}, {"messages": messages})
    with pytest.raises(DataError, match=reason) as refused:
        read_conversations(file)
    assert "line 2" in str(refused.value)


def test_a_file_that_is_empty_or_missing_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no rows"):
        read_conversations(write(tmp_path))
    with pytest.raises(DataError, match="cannot be read"):
        read_conversations(tmp_path / "other.jsonl")


KEYS = st.sampled_from(["messages", "role", "content", "weight", "tool_calls"])
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner)
)


@given(line=JSON)
def test_no_line_stops_the_reader(tmp_path_factory: pytest.TempPathFactory, line: object) -> None:
    file = tmp_path_factory.getbasetemp() / "any.jsonl"
    file.write_text(json.dumps(line) + "\n")
    found = list(iter_conversations(file))
    assert found
    assert any(not isinstance(item, Conversation) for item in found)
