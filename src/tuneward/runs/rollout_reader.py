"""Reading a run's rollouts page by page, while it trains or after: memory depends on the page, never on the run."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tuneward.errors import RunError
from tuneward.runs.rollout_file import as_text, opened_for_reading, unpack_json, unpack_tokens

Sort = Literal["line", "reward", "lowest", "spread"]
Only = Literal["mixed", "same", "truncated", "failed"]
Found = dict[str, Any]
"""A line of the file by column."""

_ORDER: Mapping[Sort, str] = {
    "line": "r.line, g.position",
    "reward": "g.reward_mean IS NULL, g.reward_mean DESC, g.position",
    "lowest": "g.reward_mean IS NULL, g.reward_mean, g.position",
    "spread": "g.reward_std IS NULL, g.reward_std DESC, g.position",
}
_CONDITION: Mapping[Only, str] = {
    "mixed": "g.is_mixed = 1",
    "same": "g.is_mixed = 0",
    "truncated": "g.truncated > 0",
    "failed": "g.failed > 0",
}
_GROUP = """
    g.key, g.step, g.position, r.id AS row, r.line, r.preview, g.samples, g.reward_mean, g.reward_std, g.reward_min,
    g.reward_max, g.is_mixed, g.truncated, g.failed, g.tokens, g.rewards
"""
LARGEST = 2**63 - 1
"""SQLite's largest integer."""


@dataclass(frozen=True, slots=True)
class GroupQuery:
    """Which groups of a step, and in which order."""

    step: int
    sort: Sort = "line"
    only: Only | None = None
    search: str | None = None
    """In prompts, completions and row ids, whatever the case."""
    after: int = 0
    """Groups to pass over; a step's groups never change."""
    limit: int = 50


class RolloutReader:
    """A run's rollouts; a run that keeps none has no steps. Every method raises RunError for a damaged file.

    Args:
        path: of the file, which need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def steps(self, *, most: int) -> tuple[list[Found], int]:
        """Steps in order, and how many there are: all of them, or of a long run at most so many, evenly spread."""
        with self._opened() as database:
            if database is None:
                return [], 0
            count = database.execute("SELECT count(*) FROM steps").fetchone()[0]
            every = max(1, -(-count // max(1, most - 1)))
            found = database.execute(
                "SELECT * FROM (SELECT *, row_number() OVER (ORDER BY step) - 1 AS place FROM steps) "
                "WHERE place % ? = 0 OR place = ? - 1 ORDER BY step",
                (every, count),
            )
            return [dict(line) for line in found], count

    def step(self, step: int | None) -> Found | None:
        """A step, or the last one, with its neighbours `previous` and `next`; None when it has no rollouts."""
        with self._opened() as database:
            if database is None or (step is not None and not 0 <= step <= LARGEST):
                return None
            line = database.execute(
                "SELECT *, (SELECT max(step) FROM steps AS a WHERE a.step < s.step) AS previous, "
                "(SELECT min(step) FROM steps AS b WHERE b.step > s.step) AS next FROM steps AS s "
                "WHERE step = coalesce(?, (SELECT max(step) FROM steps))",
                (step,),
            ).fetchone()
            return dict(line) if line else None

    def groups(self, query: GroupQuery) -> tuple[list[Found], bool]:
        """A page of a step's groups, and whether more follow."""
        with self._opened() as database:
            if database is None:
                return [], False
            conditions, values = (
                ["g.step = :step"],
                {"step": query.step, "limit": query.limit + 1, "after": query.after},
            )
            if query.only is not None:
                conditions.append(_CONDITION[query.only])
            if query.search:
                needle = as_text(query.search).casefold()
                database.create_function("holds", 3, lambda *texts: _holds(needle, *texts), deterministic=True)
                conditions.append("holds(r.id, r.body, b.samples)")
            found = database.execute(
                f"SELECT {_GROUP} FROM groups AS g JOIN rows AS r ON r.key = g.row JOIN bodies AS b ON b.key = g.key "
                f"WHERE {' AND '.join(conditions)} ORDER BY {_ORDER[query.sort]} LIMIT :limit OFFSET :after",
                values,
            ).fetchall()
            return [_group(line) for line in found[: query.limit]], len(found) > query.limit

    def group(self, step: int, row: str, *, after: int = 0, limit: int = 16, with_tokens: bool = False) -> Found | None:
        """A group with its prompt and some of its samples, each with `pieces` and `logprobs` if asked; None when there
        is none."""
        with self._opened() as database:
            line = None
            if database is not None:
                line = database.execute(
                    f"SELECT {_GROUP}, r.body, b.samples AS packed, b.tokens AS packed_tokens FROM groups AS g "
                    "JOIN rows AS r ON r.key = g.row JOIN bodies AS b ON b.key = g.key "
                    "WHERE r.split = 'train' AND r.id = ? AND g.step = ?",
                    (as_text(row), step),
                ).fetchone()
            if line is None:
                return None
            body = unpack_json(line["packed"])
            samples, receipts = body["samples"], body["receipts"]
            for index, sample in enumerate(samples):
                sample |= {"index": index, "receipt": receipts[sample["receipt"]]}
            if with_tokens:
                _add_tokens(samples, line["packed_tokens"])
            chosen = samples[after : after + limit]
            return _group(line) | {
                "prompt": unpack_json(line["body"]),
                "data": chosen,
                "has_more": after + len(chosen) < len(samples),
            }

    def history(self, row: str, *, after: int = -1, limit: int = 20) -> tuple[list[Found], bool]:
        """The groups of one row step by step, each with its best and its worst sample, and whether more follow."""
        with self._opened() as database:
            if database is None:
                return [], False
            found = database.execute(
                f"SELECT {_GROUP}, b.samples AS packed FROM groups AS g JOIN rows AS r ON r.key = g.row "
                "JOIN bodies AS b ON b.key = g.key WHERE r.split = 'train' AND r.id = ? AND g.step > ? "
                "ORDER BY g.step LIMIT ?",
                (as_text(row), after, limit + 1),
            ).fetchall()
            return [_group(line) | _extremes(line["packed"]) for line in found[:limit]], len(found) > limit

    def prompts(self, rows: Sequence[str], split: Literal["train", "validation"]) -> dict[str, Found]:
        """What rows ask, by their ids; those that were not kept are left out."""
        with self._opened() as database:
            found: dict[str, Found] = {}
            if database is None:
                return found
            for row in rows:
                line = database.execute(
                    "SELECT line, preview, body FROM rows WHERE split = ? AND id = ?", (split, as_text(row))
                ).fetchone()
                if line is not None:
                    found[row] = {"line": line["line"], "preview": line["preview"], **unpack_json(line["body"])}
            return found

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection | None]:
        if not self._path.is_file():
            yield None
            return
        try:
            with opened_for_reading(self._path) as database:
                # A file that has just been made has no tables yet.
                yield database if database.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() else None
        except (zlib.error, ValueError) as error:
            raise RunError(f"{self._path}: damaged ({error}).") from None


def _group(line: sqlite3.Row) -> Found:
    found = {name: line[name] for name in line.keys() if name not in ("body", "packed", "packed_tokens")}  # noqa: SIM118
    return found | {"rewards": json.loads(found["rewards"]), "is_mixed": bool(found["is_mixed"])}


def _extremes(packed: bytes) -> Found:
    """The samples with the highest and the lowest reward; None where nothing was scored."""
    samples = unpack_json(packed)["samples"]
    scored = [sample for sample in samples if sample["reward"] is not None]
    if not scored:
        return {"best": None, "worst": None}
    reward = [sample["reward"] for sample in scored]
    return {"best": scored[reward.index(max(reward))], "worst": scored[reward.index(min(reward))]}


def _add_tokens(samples: list[Found], packed: bytes) -> None:
    lengths, logprobs = unpack_tokens(packed)
    start = 0
    for sample in samples:
        span, place, pieces = slice(start, start + sample["tokens"]), 0, []
        start += sample["tokens"]
        for length in lengths[span]:
            pieces.append(sample["text"][place : place + length])
            place += length
        sample |= {"pieces": pieces, "logprobs": logprobs[span]}


def _holds(needle: str, row: str, prompt: bytes, samples: bytes) -> bool:
    if needle in row.casefold():
        return True
    contents = [message.get("content") for message in unpack_json(prompt)["messages"]]
    texts = [content for content in contents if isinstance(content, str)]
    texts += [sample["text"] for sample in unpack_json(samples)["samples"]]
    return any(needle in text.casefold() for text in texts)
