"""Is it a short text at all? 1 for one to three sentences in at most 60 words, 0.5 for somewhat more, else 0."""

import re


def lambda_handler(event, context):
    return [
        {"id": sample["id"], "aggregate_reward_score": score(sample["messages"][-1]["content"])} for sample in event
    ]


def score(text):
    words = len(text.split())
    sentences = len(re.findall(r"[.!?](?:\s|$)", text))
    if words < 5 or sentences == 0:
        return 0.0
    if words <= 60 and sentences <= 3:
        return 1.0
    return 0.5 if words <= 90 else 0.0
