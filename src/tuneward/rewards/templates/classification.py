"""Does the answer give the right label, and no other?

    the label and nothing else                                   1.0
    the label inside other words, no other label beside it       0.5
    another label, several labels, or none                       0.0

Case, spaces, `_`, `-` and punctuation do not matter. The label may be declared ("Label: spam", "Category: spam", or
JSON such as {"label": "spam"}); what is declared last is then the answer. Finding a label inside other words needs the
list of all labels, in the row or in LABELS; without it the answer, or what it declares, must be the label.

Row: `reference_answer` is the label, a list of labels that all apply (the score is then the overlap of both sets:
common labels / all labels named by either), or an object with `label` and, if wanted, `labels` (all there are).

    {"messages": [{"role": "user", "content": "Spam or ham? WINNER!! Claim your prize now."}],
     "reference_answer": {"label": "spam", "labels": ["spam", "ham"]}}

What it cannot see: why a label was chosen. When one label is frequent, always giving it scores its share: balance the
rows or watch the held-out metrics per label.
"""

import json
import re
from functools import lru_cache
from typing import Any

LABELS: tuple[str, ...] = ()
"""All labels, for rows that do not list them."""

INSIDE_TEXT = 0.5
"""Score of the right label inside other words."""

MAX_CHARACTERS = 20_000
"""Only the last so many characters are read."""

Scores = tuple[float, dict[str, float], dict[str, float]]
"""The reward, its components, and what is only measured."""

# Spelled out rather than IGNORECASE, which takes a hundred times as long to search for.
KEYWORD = re.compile(
    r"(?:[Ll]abel|LABEL|[Cc]ategory|CATEGORY|[Cc]lass|CLASS|[Cc]lassification|[Ii]ntent|INTENT|[Ss]entiment|SENTIMENT"
    r"|[Aa]nswer|ANSWER)s?\b"
)
DECLARED = re.compile(r"\**\s*(?::|=|\bis\b)(.*)")
SEPARATOR = re.compile(r"[,;|\n]+")
KEYS = ("label", "labels", "category", "class", "intent", "answer")
"""Keys of a JSON answer that hold the label."""


def score(sample: dict[str, Any]) -> Scores:
    """Score one sample."""
    right, labels, is_set = expected(field_of(sample, "reference_answer"))
    text = after_reasoning(completion_of(sample))[-MAX_CHARACTERS:].strip()
    given = declared(text)
    if is_set:
        named = {plain(label) for part in given for label in SEPARATOR.split(part)} - {""}
        overlap = len(named & right) / len(named | right)
        return overlap, {"overlap": overlap}, {"answered": float(bool(named))}
    answers = {plain(part) for part in given}
    if answers == right:
        return 1.0, {"exact": 1.0}, {"answered": 1.0}
    found = mentioned(" ".join(answers), labels) if labels else set()
    reward = INSIDE_TEXT if found == right else 0.0
    return reward, {"exact": 0.0, "inside_text": float(reward > 0)}, {"answered": float(len(found) == 1)}


def expected(reference: Any) -> tuple[set[str], tuple[str, ...], bool]:
    """The right labels of a row, all labels if known, and whether several may apply."""
    labels: Any = LABELS
    if isinstance(reference, dict):
        labels = reference.get("labels") or LABELS
        reference = reference.get("label")
    is_set = isinstance(reference, list)
    right = {plain(str(label)) for label in (reference if is_set else [reference]) if isinstance(label, str | int)}
    if not right or "" in right or (is_set and len(right) != len(reference)):
        raise ScoringError("reference_answer must be a label, a list of different labels, or an object with label")
    if not isinstance(labels, list | tuple) or not all(isinstance(label, str | int) for label in labels):
        raise ScoringError("reference_answer.labels must be a list of labels")
    known = tuple(sorted({plain(str(label)) for label in labels}, key=len, reverse=True))
    if known and not right <= set(known):
        raise ScoringError(f"reference_answer.label {sorted(right)} is not one of labels")
    return right, known, is_set


@lru_cache(4096)
def plain(label: str) -> str:
    """The label without case, punctuation and other than single spaces."""
    return " ".join(re.findall(r"[^\W_]+", label.casefold()))


def declared(text: str) -> list[str]:
    """The part of the answer that gives the label: a field of JSON, what follows "Label:", or everything."""
    if text.startswith(("{", "[")):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            value = next((value[key] for key in KEYS if key in value), None)
        values = value if isinstance(value, list) else [value]
        if all(isinstance(one, str | int) for one in values):
            return [str(one) for one in values]
    follows = (DECLARED.match(text, keyword.end()) for keyword in KEYWORD.finditer(text))
    found = [match[1] for match in follows if match and match[1].strip(" *_`")]
    return found[-1:] or [text]


def mentioned(text: str, labels: tuple[str, ...]) -> set[str]:
    """Labels that occur as words in a plain text, each word counted for one label, and none after "not"."""
    found = set()
    rest = f" {text} "
    for label in labels:
        rest = rest.replace(f" not {label} ", " / ")
        if label and f" {label} " in rest:
            found.add(label)
            rest = rest.replace(f" {label} ", " / ")
    return found


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
