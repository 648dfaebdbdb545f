"""Conversations of a supervised run, rendered and split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tuneward.config import SupervisedConfig
from tuneward.data import split_holdout
from tuneward.data.conversations import Conversation, read_conversations
from tuneward.errors import DataError
from tuneward.models.chat import ChatTokenizer
from tuneward.rl.supervised import Lesson


@dataclass(frozen=True, slots=True)
class Lessons:
    """What a supervised run learns from, and is measured on."""

    train: list[Lesson]
    validation: list[Lesson]
    dropped: list[str]
    """Ids of conversations that are longer than `data.max_row_tokens`."""

    @property
    def longest_prompt(self) -> int:
        return max(len(prompt) for lesson in (*self.train, *self.validation) for prompt, _ in lesson.turns)

    @property
    def longest_answer(self) -> int:
        return max(len(answer) for lesson in (*self.train, *self.validation) for _, answer in lesson.turns)


def load_lessons(config: SupervisedConfig, tokenizer: ChatTokenizer) -> Lessons:
    """Read, split and render the conversations.

    Raises:
        DataError: a file has errors, or no conversation is short enough.
        ModelError: the chat template cannot show an answer as it would be sampled.
    """
    data = config.data
    train = read_conversations(data.train)
    if data.validation is not None:
        validation = read_conversations(data.validation)
    else:
        train, validation = _split(train, data.holdout_share, config.run.seed)
    dropped: list[str] = []
    lessons = Lessons(
        _render(train, tokenizer, data.max_row_tokens, dropped),
        _render(validation, tokenizer, data.max_row_tokens, dropped)[: config.evaluation.max_rows],
        dropped,
    )
    for name, kept, file in (
        ("training", lessons.train, data.train),
        ("validation", lessons.validation, data.validation or data.train),
    ):
        if not kept:
            raise DataError(_too_long(name, file, data.max_row_tokens))
    return lessons


def _too_long(name: str, file: Path, limit: int) -> str:
    return (
        f"{file}: no {name} conversation is at most {limit} tokens long; raise data.max_row_tokens or shorten the rows."
    )


def _split(
    conversations: Sequence[Conversation], share: float, seed: int
) -> tuple[list[Conversation], list[Conversation]]:
    _, held = split_holdout([conversation.row for conversation in conversations], share, seed)
    lines = {row.line for row in held}
    return (
        [conversation for conversation in conversations if conversation.row.line not in lines],
        [conversation for conversation in conversations if conversation.row.line in lines],
    )


def _render(
    conversations: Sequence[Conversation], tokenizer: ChatTokenizer, limit: int, dropped: list[str]
) -> list[Lesson]:
    kept = []
    for conversation in conversations:
        row = conversation.row
        turns = tuple(
            tokenizer.render_answer(row.messages[: index + 1], tools=row.tools, where=f"row {row.id}")
            for index in conversation.learned
        )
        if max(len(prompt) + len(answer) for prompt, answer in turns) <= limit:
            kept.append(Lesson(row.id, turns))
        else:
            dropped.append(row.id)
    return kept
