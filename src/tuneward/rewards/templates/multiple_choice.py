r"""Does the answer choose the right letter, and only that one?

    the right letter                    1.0
    one other letter                    0.1
    no letter, or several at once       0.0

The letter may stand alone ("B", "(b)", "**B.** Paris"), be declared ("The answer is B", "Answer: (B)", "\boxed{B}"),
be the only capital letter of its kind in the answer, or be given as the text of the choice. "A or B" chooses nothing;
neither does an answer that declares more than two letters one after the other.

Row: `reference_answer` is the letter, or an object with `answer` and, if wanted, `choices` (texts in order, from A).

    {"messages": [{"role": "user", "content": "Capital of France?\nA) Rome\nB) Paris\nC) Oslo"}],
     "reference_answer": {"answer": "B", "choices": ["Rome", "Paris", "Oslo"]}}

What it cannot see: the reasoning. With four choices a guess is right every fourth time.
"""

import re
from typing import Any

LETTERS = "ABCDEFGHIJ"
"""Letters that name a choice where the row does not list its choices."""

WRONG_LETTER = 0.1
"""Score of a clear but wrong choice, so that giving one pays before giving the right one does."""

MAX_CHANGES = 1
"""How often an answer may declare another letter than before; the last one counts."""

MAX_CHARACTERS = 20_000
"""Only the last so many characters are read."""

Scores = tuple[float, dict[str, float], dict[str, float]]
"""The reward, its components, and what is only measured."""

LETTER = r"(?:\\(?:text|mathrm|textbf)\s*\{)?[\s*_`\"'(\[{]*([A-Za-z])(?![A-Za-z'’])"
MORE = r"(?:[\s*_`\"')\]}.]*(?:,|/|&|\bor\b|\band\b)+[\s*_`\"'(\[{]*(?:or\s+|and\s+)?([A-Za-z])(?![A-Za-z'’]))"
# Spelled out rather than IGNORECASE, which takes a hundred times as long to search for.
KEYWORD = re.compile(r"\\boxed\s*\{|(?:[Aa]nswer|ANSWER|[Cc]hoice|CHOICE|[Oo]ption|OPTION|[Ss]olution|SOLUTION)\b")
DECLARED = re.compile(
    r"(?:\s+(?:is|would be|must be|should be)\b)?\s*[:=*_]*(?:\s*(?:option|choice|letter)\b)?"
    rf"\s*{LETTER}({MORE}*)",
    re.IGNORECASE,
)
ALONE = re.compile(rf"\s*{LETTER}(?:[\s*_`\"')\]}}]*$|[*_`\"')\]}}]*[.:)\]]|[*_`\"')\]}}]+\s*[-–:.])")
LISTED = re.compile(r"(?<![A-Za-z'’])([A-Z])[.:)\]]")
CAPITAL = re.compile(r"(?<!not )(?<![A-Za-z'’])([A-Z])(?![A-Za-z'’])(?!(?<=A)\s+(?!or\b|and\b)[a-z])")


def score(sample: dict[str, Any]) -> Scores:
    """Score one sample."""
    right, choices = expected(field_of(sample, "reference_answer"))
    letters = LETTERS[: len(choices)] if choices else LETTERS
    text = after_reasoning(completion_of(sample))[-MAX_CHARACTERS:].strip()
    chosen = choice(text, letters) or choice_by_text(text, choices)
    is_right = chosen == right
    reward = float(is_right) if is_right or not chosen else WRONG_LETTER
    return reward, {"correct": float(is_right)}, {"answered": float(bool(chosen))}


def expected(reference: Any) -> tuple[str, list[str]]:
    """The right letter, and the texts of the choices where the row lists them."""
    choices: Any = []
    if isinstance(reference, dict):
        choices = reference.get("choices") or []
        reference = reference.get("answer")
    if not isinstance(choices, list) or not all(isinstance(text, str) for text in choices) or len(choices) > 26:
        raise ScoringError("reference_answer.choices must be a list of at most 26 texts")
    letter = reference.strip("() .").upper() if isinstance(reference, str) else ""
    letters = LETTERS[: len(choices)] if choices else LETTERS
    if len(letter) != 1 or letter not in letters:
        raise ScoringError(
            f"reference_answer must be one letter of {letters[0]} to {letters[-1]}, or an object with answer"
        )
    return letter, choices


def choice(text: str, letters: str) -> str:
    """The letter the text chooses; empty when it chooses none or several."""
    follows = (DECLARED.match(text, keyword.end()) for keyword in KEYWORD.finditer(text))
    declared = [found for found in follows if found and is_letter(found, letters)]
    if declared:
        named = [found[1].upper() for found in declared]
        return named[-1] if not declared[-1][2] and len(set(named)) <= 1 + MAX_CHANGES else ""
    starts = [line for line in text.splitlines() if (found := ALONE.match(line)) and found[1].upper() in letters]
    if starts:
        listed = {letter for line in starts for letter in LISTED.findall(line) if letter in letters}
        return single(listed | {found[1].upper() for line in starts if (found := ALONE.match(line))})
    return single({letter for letter in CAPITAL.findall(text) if letter in letters})


def single(letters: set[str]) -> str:
    """The only letter; empty when there are none or several."""
    return next(iter(letters)) if len(letters) == 1 else ""


def is_letter(found: re.Match[str], letters: str) -> bool:
    """Whether a declaration names a choice: "the answer is a matter of taste" does not."""
    is_article = found[1] == "a" and not found[2] and re.match(r"\s+\w", found.string[found.end(1) :])
    return found[1].upper() in letters and not is_article


def choice_by_text(text: str, choices: list[str]) -> str:
    """The letter of the choice whose text the answer is."""
    plain = [" ".join(re.findall(r"\w+", one.casefold())) for one in (text, *choices)]
    same = [index for index, one in enumerate(plain[1:]) if one and one == plain[0]]
    return LETTERS[same[0]] if len(same) == 1 else ""


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
