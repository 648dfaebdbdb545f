"""What rows are for: prompts that are answered in training, or conversations whose answers are learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tuneward.data.conversations import MAX_CONVERSATIONS, Conversation, iter_conversations
from tuneward.data.problems import Problem
from tuneward.data.reader import MAX_ROWS, iter_rows
from tuneward.types import Row


@dataclass(frozen=True, slots=True)
class RowKind:
    """What checking rows depends on."""

    noun: str
    """What a row is to the model."""
    read: Callable[[Path, int], Iterator[Row | Problem]]
    """Streams a file; gets the longest accepted line in bytes too."""
    limit_field: str
    """Of `data`, with the most tokens of a row."""
    max_rows: int
    """Most rows of a job, training and validation together."""
    has_reference: bool
    """Rows may have a reference answer."""


def _prompts(path: Path, max_line_bytes: int) -> Iterator[Row | Problem]:
    return iter_rows(path, max_line_bytes=max_line_bytes)


def _conversations(path: Path, max_line_bytes: int) -> Iterator[Row | Problem]:
    for item in iter_conversations(path, max_line_bytes=max_line_bytes):
        yield item.row if isinstance(item, Conversation) else item


PROMPTS = RowKind("prompt", _prompts, "max_prompt_length", MAX_ROWS, True)
CONVERSATIONS = RowKind("conversation", _conversations, "max_row_tokens", MAX_CONVERSATIONS, False)
