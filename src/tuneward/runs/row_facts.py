"""How many rows a file has, and how long they are, told from a part of them: a forecast must not take as long as
reading every row would."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tuneward.data.conversations import parse_conversation
from tuneward.data.problems import Findings
from tuneward.data.schema import parse_row
from tuneward.data.strict_json import decode_object
from tuneward.errors import ModelError
from tuneward.models.chat import ChatTokenizer
from tuneward.types import Json

READ_BYTES = 64 << 20
"""Of a file; the lines of a larger one are reckoned from these."""
MEASURED = 48
"""Lines that are counted in tokens: the longest, and others evenly between them."""
LONGEST = 16
"""Of those, the ones with the most bytes."""


@dataclass(frozen=True, slots=True)
class RowFacts:
    """Lengths are in tokens."""

    count: int
    mean_prompt: float
    longest_prompt: int
    mean_answer: float = 0.0
    """Of conversations, which have one."""
    longest_answer: int = 0
    is_exact: bool = True
    """False where the lines of a large file were not all counted."""


@lru_cache(32)
def tokenizer_of(folder: Path, _changed_ns: int) -> ChatTokenizer:
    """A model's tokenizer, kept while its folder stays as it is. Raises ModelError."""
    return ChatTokenizer.load(folder)


@lru_cache(256)
def read_facts(path: Path, _changed_ns: int, model: Path, *, is_supervised: bool) -> RowFacts | None:
    """Facts of a file of rows; None when nothing in it can be read as a row.

    Args:
        path: JSONL.
        _changed_ns: of the file, so that another content is read anew.
        model: folder of the model whose tokens count.
        is_supervised: rows are conversations.

    Raises:
        ModelError: the model has no usable tokenizer.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        lines = file.read(READ_BYTES).splitlines()
        read = file.tell()
    size = path.stat().st_size
    is_exact = read >= size
    if not is_exact and len(lines) > 1:
        lines.pop()  # cut off
    numbers = [number for number, line in enumerate(lines) if line.strip()]
    if not numbers:
        return None
    by_size = sorted(numbers, key=lambda number: -len(lines[number]))[:LONGEST]
    even = numbers[:: max(1, math.ceil(len(numbers) / (MEASURED - LONGEST)))]
    tokenizer = tokenizer_of(model, (model / "config.json").stat().st_mtime_ns)
    measure = _conversation_lengths if is_supervised else _prompt_lengths
    typical = _lengths([lines[number] for number in even], tokenizer, measure)
    longest = typical + _lengths([lines[number] for number in by_size], tokenizer, measure)
    if not longest:
        return None
    typical = typical or longest
    return RowFacts(
        count=len(numbers) if is_exact else int(len(numbers) * size / max(1, read)),
        mean_prompt=sum(prompt for prompt, _ in typical) / len(typical),
        longest_prompt=max(prompt for prompt, _ in longest),
        mean_answer=sum(answer for _, answer in typical) / len(typical),
        longest_answer=max(answer for _, answer in longest),
        is_exact=is_exact,
    )


_Measure = Callable[[dict[str, Json], Findings, ChatTokenizer], tuple[int, int] | None]


def _lengths(lines: list[bytes], tokenizer: ChatTokenizer, measure: _Measure) -> list[tuple[int, int]]:
    """Tokens of prompt and answer of the lines that are rows; the checks of the data say what is wrong with others."""
    found = []
    for line in lines:
        findings = Findings("", 0)
        tree = decode_object(line, findings)
        try:
            lengths = None if tree is None else measure(tree, findings, tokenizer)
        except ModelError:
            continue
        if lengths is not None:
            found.append(lengths)
    return found


def _prompt_lengths(tree: dict[str, Json], findings: Findings, tokenizer: ChatTokenizer) -> tuple[int, int] | None:
    row = parse_row(tree, findings)
    return None if row is None else (len(tokenizer.render(row)), 0)


def _conversation_lengths(
    tree: dict[str, Json], findings: Findings, tokenizer: ChatTokenizer
) -> tuple[int, int] | None:
    found = parse_conversation(tree, findings)
    if found is None:
        return None
    row, last = found.row, found.learned[-1]
    prompt, answer = tokenizer.render_answer(row.messages[: last + 1], tools=row.tools)
    return len(prompt), len(answer)
