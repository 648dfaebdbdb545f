"""Code as completions, and what is left of it."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from tuneward.rewards.event_grader import EventGrader
from tuneward.types import Row, Sample, Score

SECRET = "violet-otter-4711"

BOMB_S = 60
BOMB = f"""
import os, time
end, depth, children = time.monotonic() + {BOMB_S}, 0, 0
while time.monotonic() < end:
    if depth < 2 and children < 20:
        try:
            if os.fork() == 0: depth, children = depth + 1, 0
            else: children += 1
        except OSError: pass
"""
"""A fork bomb that, should nothing contain it, stops at some 400 processes and ends after BOMB_S."""


def samples_of(*codes: str) -> list[Sample]:
    row = Row("r", ({"role": "user", "content": "?"},))
    return [Sample(f"s-{index}", row, dedent(code)) for index, code in enumerate(codes)]


def run(grader: EventGrader, code: str) -> Score:
    """The score of a piece of code; a following batch on the same grader gets its scores."""
    score = grader.score(samples_of(code))[0]
    after = grader.score(samples_of("reward = 2.0"))[0]
    assert after.reward == 2.0, after.receipt
    return score


def descendants(root: int) -> list[int]:
    """All living processes below a process."""
    found: list[int] = []
    for task in Path(f"/proc/{root}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *descendants(child)]
    return found
