/** A reward function to begin with: whole, and useful as it is for rows whose reference answer is a short text. */
export const STARTER = `"""Reward: is the final answer the reference, and if not, how many of its words does it share?"""

import re


def lambda_handler(event, context):
    """Score a batch: one entry for each sample, with its id."""
    return [score(sample) for sample in event]


def score(sample):
    # The row's messages, with the model's answer as the last one.
    answer = final(sample["messages"][-1]["content"])
    # Further fields of the row are in sample["metadata"].
    reference = str(sample.get("reference_answer", ""))

    given, right = words(answer), words(reference)
    is_right = 1.0 if given and given == right else 0.0
    # Part of the reward for part of the answer: groups of wrong answers that differ can be learnt from, too.
    shared = len(set(given) & set(right)) / max(1, len(set(given) | set(right)))

    return {
        "id": sample["id"],
        "aggregate_reward_score": is_right if is_right else 0.3 * shared,
        "metrics_list": [
            {"name": "is_right", "value": is_right, "type": "Reward"},
            {"name": "shared_words", "value": shared, "type": "Reward"},
        ],
    }


def final(text):
    """What follows the last "Answer:", else the whole text."""
    return re.split(r"answer:", text, flags=re.IGNORECASE)[-1]


def words(text):
    """Without letter case and punctuation."""
    return re.findall(r"[^\\W_]+", text.lower())
`;
