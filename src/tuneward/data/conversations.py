"""Conversations for supervised fine-tuning: the same rows as prompts, with answers in them.

Source: OpenAI RFT contract, 3.4.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tuneward.data.lines import MAX_LINE_BYTES, iter_lines
from tuneward.data.problems import Code, Findings, Problem, Severity, shown
from tuneward.data.reader import MAX_NAMED_PROBLEMS
from tuneward.data.schema import parse_row
from tuneward.data.strict_json import decode_object
from tuneward.errors import DataError
from tuneward.types import Json, Row

MAX_CONVERSATIONS = 50_000
"""Most rows of a file. Source: OpenAI RFT contract, section 4."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A row whose assistant messages are answers to learn."""

    row: Row
    learned: tuple[int, ...]
    """Indices of the messages to learn, in order; at least one."""


def iter_conversations(path: Path, *, max_line_bytes: int = MAX_LINE_BYTES) -> Iterator[Conversation | Problem]:
    """Stream a file; every line that is not blank gives a conversation or at least one error.

    Args:
        path: JSONL in UTF-8. Assistant messages with `"weight": 0` are context only. Rows whose last message is not
            the assistant's are errors unless an earlier one is: there would be nothing to learn.
        max_line_bytes: longest accepted line; a longer one becomes a problem.
    """
    is_empty = True
    try:
        for line in iter_lines(path, max_line_bytes):
            if line.raw is not None and not line.raw.strip():
                continue
            is_empty = False
            findings = Findings(str(path), line.number)
            if line.raw is None:
                findings.error(Code.LINE_TOO_LONG, "", f"the line has {line.size_bytes:,} bytes.", "Shorten the row.")
                conversation = None
            else:
                data = decode_object(line.raw, findings)
                conversation = None if data is None else parse_conversation(data, findings)
            yield from (problem for problem in findings.problems() if problem.code is not Code.ENDS_WITH_ANSWER)
            if conversation is not None:
                yield conversation
    except OSError as error:
        message = f"the file cannot be read ({error.strerror or error})."
        yield Problem(str(path), 0, "", Severity.ERROR, Code.FILE, message, "Check the path.")
        return
    if is_empty:
        fix = "Write one JSON object with messages on each line."
        yield Problem(str(path), 0, "", Severity.ERROR, Code.FILE, "the file holds no rows.", fix)


def read_conversations(path: Path) -> list[Conversation]:
    """All conversations of a file.

    Raises:
        DataError: a line has an error, or there are too many; the text names the first ten problems.
    """
    found: list[Conversation] = []
    errors: list[str] = []
    for item in iter_conversations(path):
        if isinstance(item, Conversation):
            found.append(item)
            if len(found) > MAX_CONVERSATIONS:
                raise DataError(f"{path}: more than {MAX_CONVERSATIONS:,} rows. Train on a sample of them.")
        elif item.severity is Severity.ERROR:
            errors.append(str(item))
    if errors:
        more = [f"… and {len(errors) - MAX_NAMED_PROBLEMS:,} more."] if len(errors) > MAX_NAMED_PROBLEMS else []
        raise DataError("\n".join([*errors[:MAX_NAMED_PROBLEMS], *more]))
    return found


def parse_conversation(data: dict[str, Json], findings: Findings) -> Conversation | None:
    """A conversation of a line's object, from which `weight` is taken out; None after an error among the findings."""
    messages = data.get("messages")
    weights = _take_weights(messages, findings) if isinstance(messages, list) else {}
    row = parse_row(data, findings)
    if row is None or findings.has_error:
        return None
    answers = [index for index, message in enumerate(row.messages) if message["role"] == "assistant"]
    learned = tuple(index for index in answers if weights.get(index, 1))
    if not learned:
        reason = "every assistant message has weight 0" if answers else "no message is the assistant's"
        fix = "Add the answer that is to be learned as the last message."
        findings.error(Code.SCHEMA, "messages", f"{reason}, so there is nothing to learn.", fix)
        return None
    if learned[0] == 0:
        findings.error(Code.SCHEMA, "messages[0]", "messages[0] is an answer to nothing.", "Begin with the user's.")
        return None
    return Conversation(row, learned)


def _take_weights(messages: list[Json], findings: Findings) -> dict[int, int]:
    """Index → weight; they are taken out of the messages, which know no such field."""
    weights = {}
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or "weight" not in message:
            continue
        weight = message.pop("weight")
        if type(weight) is not int or weight not in (0, 1):
            place = f"messages[{index}].weight"
            findings.error(Code.SCHEMA, place, f"{place} is {shown(weight)}; expected 0 or 1.")
        elif message.get("role") == "assistant":
            weights[index] = weight
    return weights
