"""Half of a point for one line of arithmetic, the whole point for two, so that there is something to learn early."""

import re

STEP = re.compile(r"\d\s*[-+*/x×÷]\s*\d[\d.,]*\s*=\s*\d")


def lambda_handler(event, context):
    scores = []
    for sample in event:
        steps = len(STEP.findall(sample["messages"][-1]["content"]))
        scores.append({"id": sample["id"], "aggregate_reward_score": min(steps, 2) / 2})
    return scores
