"""A reward function as AWS Lambda runs it: half for what was read right, half for coming near the expected text."""

import difflib
import json


def lambda_handler(event, context):
    return [{"id": sample["id"], "aggregate_reward_score": score(sample)} for sample in event]


def score(sample):
    expected = sample["metadata"]["reference_answer"]
    answer = sample["messages"][-1]["content"]
    # A model that never answers in the right form still learns in which direction it lies.
    near = difflib.SequenceMatcher(None, answer, json.dumps(expected), autojunk=False).ratio()
    try:
        found = json.loads(answer)
    except ValueError:
        found = None
    right = sum(found.get(name) == value for name, value in expected.items()) if isinstance(found, dict) else 0
    return 0.5 * right / len(expected) + 0.5 * near
