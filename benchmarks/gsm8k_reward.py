"""Reward of the GSM8K benchmarks: the right final number, and a little for an answer of middling length.

The second part has no purpose but to give every group differing rewards. A 135M model solves next to none of these
problems; without it nearly all groups would be without signal, and a program that skips those would hardly train.
"""

import re

NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
MIDDLING_CHARACTERS = 300


def lambda_handler(event, context):  # noqa: ARG001
    return [{"id": sample["id"], "aggregate_reward_score": score(sample)} for sample in event]


def score(sample: dict) -> float:
    answer = sample["messages"][-1]["content"]
    reference = sample["reference_answer"]
    expected = reference["text"] if isinstance(reference, dict) else reference
    found = NUMBER.findall(answer)
    is_right = bool(found) and number(found[-1]) == number(expected)
    off = abs(len(answer) - MIDDLING_CHARACTERS) / MIDDLING_CHARACTERS
    return float(is_right) + 0.2 * max(0.0, 1.0 - off)


def number(text: str) -> float:
    return float(text.replace(",", ""))
