"""Lengths of rows as a model would read them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tuneward.data.checks import TokenCounter
from tuneward.data.keys import prompt_digest
from tuneward.data.row_kinds import CONVERSATIONS, RowKind
from tuneward.errors import ModelError
from tuneward.jobs.problems import ObjectNotFoundError
from tuneward.models.facts import find_here
from tuneward.serve.services import Services
from tuneward.types import Row

if TYPE_CHECKING:
    from tuneward.models.chat import ChatTokenizer

MAX_REMEMBERED = 50_000
_COUNTS: dict[tuple[ChatTokenizer, str, bytes], int] = {}
"""Tokens of rows that were counted lately: whoever chooses data looks at the same rows many times."""


def token_counter(
    services: Services, project_id: str, model: str, kind: RowKind
) -> tuple[TokenCounter | None, str | None]:
    """Counts the tokens of a row, or says why it cannot.

    Args:
        services: the server's.
        project_id: whose tuned models count.
        model: base or tuned.
        kind: of the rows. Of a conversation, all up to its last answer counts.

    Raises:
        ObjectNotFoundError: no such model.
    """
    try:
        base = services.directory.find(model)
    except ObjectNotFoundError as unknown:
        try:
            base = services.directory.find(services.models.find(project_id, model).base_model)
        except ObjectNotFoundError:
            raise unknown from None
    try:
        folder = find_here(base.local)
        if folder is None:
            return None, f"Lengths are not counted: {base.id} is not on this machine yet."
        tokenizer = _tokenizer(folder, (folder / "config.json").stat().st_mtime_ns)
    except (ModelError, OSError) as error:
        return None, f"Lengths are not counted: {error}"

    count = _conversation if kind is CONVERSATIONS else _prompt

    def remembered(row: Row) -> int:
        key = (tokenizer, kind.noun, prompt_digest(row))
        tokens = _COUNTS.get(key)
        if tokens is None:
            if len(_COUNTS) >= MAX_REMEMBERED:
                _COUNTS.clear()
            _COUNTS[key] = tokens = count(tokenizer, row)
        return tokens

    return remembered, None


def _prompt(tokenizer: ChatTokenizer, row: Row) -> int:
    return len(tokenizer.render(row))


def _conversation(tokenizer: ChatTokenizer, row: Row) -> int:
    last = max(index for index, message in enumerate(row.messages) if message["role"] == "assistant")
    return sum(map(len, tokenizer.render_answer(row.messages[: last + 1], tools=row.tools, where=f"row {row.id}")))


@lru_cache(4)
def _tokenizer(folder: Path, _changed_ns: int) -> ChatTokenizer:
    from tuneward.models.chat import ChatTokenizer  # loads the model libraries, which a server does not need to begin

    return ChatTokenizer.load(folder)
