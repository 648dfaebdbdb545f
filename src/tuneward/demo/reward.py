"""The reward of the demo: is the answer one JSON object with the right name, age and city, and nothing else?

Copy this file as a start for a reward of your own. It needs Python alone.

A perfect answer earns 1.0. Anything else earns a sum of parts that is at most 0.9, so that a group of imperfect
answers still differs, and each step towards the perfect answer pays:

    part     most  for
    object   0.10  an object can be read somewhere in the answer; without one, 0.02 per key that is written as a
                   key ("name":), so that almost-JSON is better than prose
    keys     0.15  0.05 for each of name, age and city in it; 0.05 off for each other key, never below 0
    values   0.45  0.15 for each right value of the right type; 0.075 if only the type, letter case or
                   spacing is off ("34" for 34)
    purity   0.20  the object's share of the answer's characters: text and code fences around it cost
"""

import json
import re
from typing import Any

KEYS = ("name", "age", "city")

OBJECT = 0.10
KEY_WITHOUT_OBJECT = 0.02
KEY = 0.05
VALUE = 0.15
PURITY = 0.20

MAX_STARTS = 20
"""Opening braces that are tried; an answer of thousands of braces must not cost seconds."""

DECODER = json.JSONDecoder()


def lambda_handler(event: list[dict[str, Any]], context: Any) -> list[dict[str, Any]]:  # noqa: ARG001
    """Score a batch.

    Args:
        event: list of {id, messages, reference_answer, metadata}; the last message is the answer, and the
            reference is {name, age, city}.
        context: of AWS Lambda; not used.

    Returns:
        A list of {id, aggregate_reward_score, metrics_list}, one entry per sample.

    Raises:
        ValueError: a sample without a usable reference answer.
    """
    return [score(sample) for sample in event]


def score(sample: dict[str, Any]) -> dict[str, Any]:
    """Score one sample; see `lambda_handler`."""
    reference = sample.get("reference_answer") or sample.get("metadata", {}).get("reference_answer")
    if not isinstance(reference, dict) or set(reference) != set(KEYS):
        raise ValueError(f"sample {sample['id']}: reference_answer must be an object with name, age and city")
    answer = sample["messages"][-1]["content"]
    exact = is_exact(answer, reference)
    parts = partial_credit(answer, reference)
    metrics = [{"name": "exact", "value": float(exact), "type": "Metric"}]
    metrics += [{"name": name, "value": value, "type": "Reward"} for name, value in parts.items()]
    reward = 1.0 if exact else round(sum(parts.values()), 4)
    return {"id": sample["id"], "aggregate_reward_score": reward, "metrics_list": metrics}


def is_exact(answer: str, reference: dict[str, Any]) -> bool:
    """Whether the whole answer is one JSON object with exactly the right keys, values and types."""
    try:
        pairs = json.loads(answer, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return False
    # Pairs, not a dict, so that a key given twice is seen; only an object starts with a brace.
    if not answer.lstrip().startswith("{") or sorted(key for key, _ in pairs) != sorted(KEYS):
        return False
    return all(is_same(value, reference[key]) for key, value in pairs)


def partial_credit(answer: str, reference: dict[str, Any]) -> dict[str, float]:
    """Parts of the reward of an answer that is not perfect, each at least 0."""
    found, length = find_object(answer)
    if found is None:
        keys = sum(re.search(rf'["\']{key}["\']\s*:', answer) is not None for key in KEYS)
        return {"object": KEY_WITHOUT_OBJECT * keys, "keys": 0.0, "values": 0.0, "purity": 0.0}
    others = len(set(found) - set(KEYS))
    return {
        "object": OBJECT,
        "keys": max(0.0, KEY * (sum(key in found for key in KEYS) - others)),
        "values": sum(value_credit(found[key], reference[key]) for key in KEYS if key in found),
        "purity": PURITY * length / len(answer.strip()),
    }


def find_object(answer: str) -> tuple[dict[str, Any] | None, int]:
    """The first JSON object in the answer and its length in characters; (None, 0) without one."""
    for start in [match.start() for match in re.finditer(r"\{", answer)][:MAX_STARTS]:
        try:
            found, end = DECODER.raw_decode(answer, start)
        except (ValueError, RecursionError):
            continue
        return found, end - start
    return None, 0


def value_credit(value: Any, expected: Any) -> float:
    """Full credit for the same value, half when only type, letter case or spacing differ."""
    if is_same(value, expected):
        return VALUE
    if isinstance(value, (str, int, float)) and not isinstance(value, bool) and plain(value) == plain(expected):
        return VALUE / 2
    return 0.0


def is_same(value: Any, expected: Any) -> bool:
    """Equal and of the same type: 34 is not "34", 34.0 or True."""
    return type(value) is type(expected) and value == expected


def plain(value: Any) -> str:
    """A value as text without letter case and spare spaces; 34.0 counts as 34."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return " ".join(str(value).casefold().split())
