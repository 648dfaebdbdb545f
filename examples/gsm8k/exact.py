"""The number after the last ####, and only that. It is not trained on: should the reward rise while this does not,
something else than solving problems is being learnt."""

import re

MARKED = re.compile(r"####\s*\$?(-?[\d,]*\.?\d+)")


def lambda_handler(event, context):
    return [{"id": sample["id"], "aggregate_reward_score": is_exact(sample)} for sample in event]


def is_exact(sample):
    given = MARKED.findall(sample["messages"][-1]["content"])
    right = MARKED.findall(sample["reference_answer"])
    return float(bool(given) and float(given[-1].replace(",", "")) == float(right[-1].replace(",", "")))
