r"""Does the answer match a regular expression, and does it capture the right value?

    matches, and captures the value if the row names one    1.0
    matches, but captures another value                     0.2
    does not match                                          0.0

With several patterns, the score is the share of them that match.

Row: `reference_answer` is a pattern, a list of patterns, or an object with `pattern` and, if wanted, `value`, which the
first group (without groups: the whole match) of the last match must equal.

    {"messages": [{"role": "user", "content": "When was the treaty of Rome signed? End with DATE: yyyy-mm-dd."}],
     "reference_answer": {"pattern": "DATE: (\\d{4}-\\d{2}-\\d{2})\\s*$", "value": "1957-03-25"}}

What it cannot see: whether anything outside the match is true or even readable. A pattern that backtracks without end
costs the call its time limit, and its samples then have no score.
"""

import re
from functools import lru_cache
from typing import Any

FLAGS = re.MULTILINE
"""Flags of every pattern, such as `re.MULTILINE | re.IGNORECASE`."""

WRONG_VALUE = 0.2
"""Score when the pattern matches with another value than the row's."""

MAX_CHARACTERS = 20_000
"""Only the last so many characters are searched."""

Scores = tuple[float, dict[str, float], dict[str, float]]
"""The reward, its components, and what is only measured."""


def score(sample: dict[str, Any]) -> Scores:
    """Score one sample."""
    patterns, value = expected(field_of(sample, "reference_answer"))
    text = after_reasoning(completion_of(sample))[-MAX_CHARACTERS:]
    found = [list(pattern.finditer(text)) for pattern in patterns]
    matched = sum(map(bool, found)) / len(found)
    if value is None or not found[0]:
        return matched, {"matched": matched}, {}
    last = found[0][-1]
    captured = last[1] if last.re.groups else last[0]
    is_right = captured is not None and captured.strip() == value
    return 1.0 if is_right else WRONG_VALUE, {"matched": matched, "value": float(is_right)}, {}


def expected(reference: Any) -> tuple[list[re.Pattern[str]], str | None]:
    """The patterns of a row and the value the last match must capture, if any."""
    value = None
    if isinstance(reference, dict):
        value = reference.get("value")
        reference = reference.get("pattern")
        if value is not None and (isinstance(value, bool | list | dict) or not isinstance(reference, str)):
            raise ScoringError("reference_answer.value must be text or a number and needs one pattern as text")
    patterns = reference if isinstance(reference, list) else [reference]
    if not patterns or not all(isinstance(pattern, str) and pattern for pattern in patterns):
        raise ScoringError("reference_answer must be a pattern, a list of patterns, or an object with pattern")
    return [compiled(pattern) for pattern in patterns], None if value is None else str(value).strip()


@lru_cache(4096)
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, compiled once."""
    try:
        return re.compile(pattern, FLAGS)
    except (re.error, OverflowError, RecursionError) as error:
        raise ScoringError(f"reference_answer: {pattern[:80]!r} is no regular expression ({error})") from None


# --- From here on every template is the same: how samples come in and scores go out. ---


class ScoringError(Exception):
    """The sample cannot be scored, and the completion is not to blame: the row is wrong, or a tool is missing."""


def lambda_handler(event: list[dict[str, Any]], context: Any) -> list[dict[str, Any]]:  # noqa: ARG001
    """Answer {id, aggregate_reward_score, metrics_list} per sample, or {id, error} where that cannot be."""
    return [answer(sample) for sample in event]


def answer(sample: dict[str, Any]) -> dict[str, Any]:
    """The entry of one sample: components of the reward have type Reward, what is only measured has type Metric."""
    try:
        reward, components, measurements = score(sample)
    except ScoringError as error:
        return {"id": sample.get("id"), "error": str(error)}
    metrics = [{"name": name, "value": value, "type": "Reward"} for name, value in components.items()]
    metrics += [{"name": name, "value": value, "type": "Metric"} for name, value in measurements.items()]
    return {"id": sample.get("id"), "aggregate_reward_score": reward, "metrics_list": metrics}


def field_of(sample: dict[str, Any], name: str) -> Any:
    """A field of the row, which stands at the top or in the metadata; text may come as {"text": …}."""
    metadata = sample.get("metadata")
    value = sample.get(name)
    if value is None and isinstance(metadata, dict):
        value = metadata.get(name)
    return value["text"] if isinstance(value, dict) and list(value) == ["text"] else value


def completion_of(sample: dict[str, Any]) -> str:
    """The text of the last message: a string, an object with `text`, or a list of such parts."""
    messages = sample.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    content = last.get("content") if isinstance(last, dict) else None
    parts = [
        part.get("text") if isinstance(part, dict) else part
        for part in (content if isinstance(content, list) else [content])
    ]
    return "".join(part for part in parts if isinstance(part, str))


def after_reasoning(text: str) -> str:
    """What follows the reasoning, where a model marks that with <think>…</think>; nothing when it never ended."""
    return text.rpartition("</think>")[2].partition("<think>")[0]
