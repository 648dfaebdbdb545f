"""The held-out split, for jobs without a validation file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from tuneward.data.keys import loose_prompt_digest
from tuneward.errors import DataError
from tuneward.types import Row

MAX_HOLDOUT = 200
"""Most rows held out. Source: Bedrock RFT contract, section 3.6."""


def split_holdout(rows: Sequence[Row], share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Hold out about `share` of the rows for validation.

    Which rows are held out depends on their prompts and the seed alone, not on their order. Rows with the same
    prompt, letter case and spacing aside, stay together, so that validation asks nothing training has seen.

    Args:
        rows: the training rows.
        share: part to hold out, 0 … 1; the result has at least 1 and at most 200 rows.
        seed: of the choice.

    Returns:
        (train, validation), each in the order given.

    Raises:
        DataError: there are not two different prompts to split.
    """
    held = choose_held_out([loose_prompt_digest(row) for row in rows], share, seed)
    train = [row for index, row in enumerate(rows) if index not in held]
    return train, [row for index, row in enumerate(rows) if index in held]


def choose_held_out(prompts: Sequence[bytes], share: float, seed: int) -> set[int]:
    """As `split_holdout`, by the digests of the prompts alone.

    Returns:
        Indices of what is held out.

    Raises:
        DataError: there are not two different prompts to split.
    """
    groups: dict[bytes, list[int]] = {}
    for index, prompt in enumerate(prompts):
        groups.setdefault(prompt, []).append(index)
    if len(groups) < 2:
        raise DataError(
            f"{len(prompts)} rows with {len(groups)} different prompts cannot be split; "
            "give a validation file (data.validation) or add rows."
        )
    target = max(1, min(MAX_HOLDOUT, round(len(prompts) * share)))
    ranked = sorted(groups, key=lambda key: hashlib.blake2b(key, digest_size=16, salt=_salt(seed)).digest())
    held: set[int] = set()
    taken = 0
    for key in ranked:
        if taken < len(groups) - 1 and len(held) + len(groups[key]) <= target:
            held.update(groups[key])
            taken += 1
    if not held:  # every prompt is repeated more often than the target
        smallest = min(ranked, key=lambda key: len(groups[key]))
        if len(groups[smallest]) > MAX_HOLDOUT:
            raise DataError(
                f"every prompt is repeated more than {MAX_HOLDOUT} times, so none can be held out; "
                "give a validation file (data.validation) or remove the repetitions."
            )
        held.update(groups[smallest])
    return held


def _salt(seed: int) -> bytes:
    return seed.to_bytes(16, "little", signed=True)
