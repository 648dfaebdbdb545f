r"""Does the answer keep to its form: length, sections, patterns, forbidden phrases?

Each constraint is one check; the score is the share of checks that hold (lengths that are missed by a little count in
part). An empty answer scores 0.

Row: `reference_answer` is an object with any of these; what a row does not give comes from CONSTRAINTS.

    min_words, max_words, min_characters, max_characters, min_lines, max_lines    numbers
    required_sections    headings that must be there, in this order, each with text under it ("# Risks", "Risks:", …)
    required_phrases     texts that must occur
    forbidden_phrases    texts that must not occur as whole words
    must_match           regular expressions that must be found
    must_not_match       regular expressions that must not be found
    starts_with, ends_with    texts

    {"messages": [{"role": "user", "content": "Summarise the incident."}],
     "reference_answer": {"max_words": 120, "required_sections": ["Cause", "Remedy"], "forbidden_phrases": ["as AI"]}}

Letter case does not matter for phrases and headings; invisible characters inside a phrase do not hide it.

What it cannot see: whether the text is true, or makes sense at all. Use it beside a judge, or as a gate before one.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Any

CONSTRAINTS: dict[str, Any] = {}
"""Constraints of every row, such as {"max_words": 200}; a row's own come on top."""

NEAR_MISS = 0.25
"""A length that misses its limit by this share of it, or more, earns nothing; half of it earns half."""

MAX_CHARACTERS = 50_000
"""Longer answers are cut before they are read."""

Scores = tuple[float, dict[str, float], dict[str, float]]
"""The reward, its components, and what is only measured."""

LENGTHS = {f"{side}_{unit}": (side, unit) for side in ("min", "max") for unit in ("words", "characters", "lines")}
LISTS = ("required_sections", "required_phrases", "forbidden_phrases", "must_match", "must_not_match")
BOLD = r"(?:\*\*|__)?"
TEXTS = ("starts_with", "ends_with")


def score(sample: dict[str, Any]) -> Scores:
    """Score one sample."""
    constraints = expected(field_of(sample, "reference_answer"))
    text = after_reasoning(completion_of(sample))[:MAX_CHARACTERS].strip()
    sizes = {"words": len(text.split()), "characters": len(text), "lines": len(text.splitlines())}
    checks: dict[str, list[float]] = {}
    for name, wanted in constraints.items():
        if name in LENGTHS:
            side, unit = LENGTHS[name]
            checks[name] = [length(sizes[unit], wanted, side)]
        elif name in TEXTS:
            place = visible(text).startswith if name == "starts_with" else visible(text).endswith
            checks[name] = [float(place(visible(wanted)))]
        else:
            checks[name] = listed(name, wanted, text)
    results = [result for group in checks.values() for result in group]
    reward = sum(results) / len(results) if text else 0.0
    components = {name: sum(group) / len(group) for name, group in checks.items()}
    return reward, components, {**{unit: float(size) for unit, size in sizes.items()}, "all": float(reward == 1)}


def expected(reference: Any) -> dict[str, Any]:
    """The constraints of a row, each checked for its form."""
    if reference is not None and not isinstance(reference, dict):
        raise ScoringError("reference_answer must be an object of constraints")
    constraints = {
        name: value for name, value in {**CONSTRAINTS, **(reference or {})}.items() if value not in (None, [])
    }
    for name, value in constraints.items():
        if name in LENGTHS:
            is_fit = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        elif name in TEXTS:
            is_fit = isinstance(value, str) and bool(visible(value))
        elif name in LISTS:
            is_fit = isinstance(value, list) and all(isinstance(one, str) and visible(one) for one in value)
        else:
            raise ScoringError(
                f"reference_answer: unknown constraint {name!r}; known: {', '.join([*LENGTHS, *LISTS, *TEXTS])}"
            )
        if not is_fit:
            kind = "a number" if name in LENGTHS else "text" if name in TEXTS else "a list of texts"
            raise ScoringError(f"reference_answer.{name} must be {kind}")
        if name in ("must_match", "must_not_match"):
            for pattern in value:
                compiled(pattern)
    if not constraints:
        raise ScoringError("the row has no constraint; give at least one in reference_answer")
    return constraints


def length(size: int, limit: int, side: str) -> float:
    """1 within the limit, less the further away, 0 from NEAR_MISS on."""
    missed_by = limit - size if side == "min" else size - limit
    return 1.0 if missed_by <= 0 else max(0.0, 1 - missed_by / max(1.0, limit * NEAR_MISS))


def listed(name: str, wanted: list[str], text: str) -> list[float]:
    """One result per entry of a list constraint."""
    if name == "required_sections":
        return sections(wanted, text)
    if name in ("must_match", "must_not_match"):
        return [float((compiled(pattern).search(text) is not None) == (name == "must_match")) for pattern in wanted]
    plain = visible(text)
    if name == "required_phrases":
        return [float(visible(phrase) in plain) for phrase in wanted]
    return [float(re.search(rf"(?<!\w){re.escape(visible(phrase))}(?!\w)", plain) is None) for phrase in wanted]


def sections(wanted: list[str], text: str) -> list[float]:
    """Whether each heading stands in a line of its own after the one before it, with text before the next."""
    results = []
    rest = text
    for title in wanted:
        name = re.escape(title.strip())
        heading = re.compile(
            rf"^[ \t]*(?:#{{1,6}}[ \t]*)?{BOLD}{name}(?:{BOLD}[ \t]*:{BOLD}[ \t]*(.*)|{BOLD}[ \t]*)$", re.I | re.M
        )
        found = heading.search(rest)
        rest = rest[found.end() :] if found else rest
        body = next((line for line in rest.splitlines() if line.strip()), "") if found else ""
        is_heading = re.match(r"\s*(#{1,6}\s|\*\*[^*]+\*\*:?\s*$)", body) is not None
        results.append(float(found is not None and bool((found[1] or "").strip() or (body and not is_heading))))
    return results


def visible(text: str) -> str:
    """The text as a reader sees it, without letter case: one form of each character, no invisible ones."""
    whole = unicodedata.normalize("NFKC", text)
    return " ".join("".join(one for one in whole if unicodedata.category(one) != "Cf").casefold().split())


@lru_cache(4096)
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, compiled once."""
    try:
        return re.compile(pattern, re.MULTILINE)
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
