"""In training, models are told the form of an answer in the words that a server uses."""

from __future__ import annotations

from typing import Any

import pytest

from tuneward.jobs.response_format import with_response_format
from tuneward.serve.openai.chat_request import ResponseFormat
from tuneward.serve.openai.response_format import instructed

SCHEMA = {"type": "object", "properties": {"größe": {"type": "string"}}}
FORMATS: list[dict[str, Any]] = [
    {"type": "json_object"},
    {"type": "json_schema", "json_schema": {"name": "ans", "strict": True, "schema": SCHEMA}},
]
USER = {"role": "user", "content": "How large?"}


@pytest.mark.parametrize("wanted", FORMATS)
@pytest.mark.parametrize("messages", [[USER], [{"role": "system", "content": "Be brief."}, USER]])
def test_training_asks_as_serving_does(wanted: dict[str, Any], messages: list[dict[str, Any]]) -> None:
    row = {"messages": messages, "answer": 3}
    changed = with_response_format(row, wanted)
    assert changed["messages"] == instructed(messages, ResponseFormat.model_validate(wanted))
    assert changed["answer"] == 3
    assert row["messages"] is messages  # the row given stays as it is
    assert len(changed["messages"]) == 2


def test_developer_messages_and_text_parts_are_continued() -> None:
    developer = {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]}
    (first, second) = with_response_format({"messages": [developer, USER]}, FORMATS[0])["messages"]
    assert (first["role"], second) == ("developer", USER)
    assert [part["text"] for part in first["content"]] == [
        "Be brief.", "\n\nAnswer with one JSON object and nothing else.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "row", [{}, {"messages": []}, {"messages": "x"}, {"messages": ["x"]}, {"messages": None, "answer": 1}]
)
def test_rows_that_are_wrong_are_left_to_the_checks(row: dict[str, Any]) -> None:
    assert with_response_format(row, FORMATS[1]) is row


@pytest.mark.parametrize("wanted", [None, {"type": "text"}])
def test_without_a_form_nothing_changes(wanted: dict[str, Any] | None) -> None:
    row = {"messages": [USER]}
    assert with_response_format(row, wanted) is row
