"""A run's rollouts, written down step by step for people to read: what was asked, answered, and how it was scored."""

from __future__ import annotations

import json
import math
import sqlite3
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tuneward.errors import RunError
from tuneward.runs.receipts import receipt_content
from tuneward.runs.rollout_file import as_text, open_for_writing, pack_json, pack_tokens
from tuneward.types import Completion, FinishReason, Group, Prompt, Row, Score

if TYPE_CHECKING:
    from tuneward.rl.rollout import Rollout

PREVIEW = 160
"""Characters of a prompt that lists show."""

Split = Literal["train", "validation"]

Pieces = Callable[[Completion], list[int]]
"""Characters of a completion's text that each of its tokens adds."""
Special = Callable[[int], str]
"""A special token as it is written."""


class RolloutKeeper:
    """Writes rollouts into a run's file, in the background: training waits only for what a step before has left.

    Every method raises RunError when what was written before it could not be, such as on a full disk; the run can be
    resumed.

    Args:
        path: of the file.
        pieces: tells tokens apart.
        special: writes the token out that ended a completion.
    """

    def __init__(self, path: Path, pieces: Pieces, special: Special) -> None:
        self._path = path
        self._pieces = pieces
        self._special = special
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rollouts")
        self._pending: Future[None] | None = None
        self._database: sqlite3.Connection | None = None  # belongs to the thread
        self._rows: dict[tuple[Split, str], int] = {}

    def keep(self, step: int, rollouts: Sequence[Rollout], advantages: Sequence[float] | None = None) -> None:
        """Write a step's groups down.

        Args:
            step: 0 for what was sampled to look for signal.
            rollouts: with distinct prompts.
            advantages: of all completions, group by group; None: there is no update to have them for.
        """
        self.flush()
        self._pending = self._thread.submit(self._attempt, lambda: self._keep(step, rollouts, advantages))

    def keep_prompts(self, prompts: Iterable[Prompt], split: Split) -> None:
        """Write down what validation rows ask."""
        self.flush()
        rows = [prompt.row for prompt in prompts]
        self._pending = self._thread.submit(self._attempt, lambda: self._keep_rows(rows, split))

    def remove_after(self, step: int) -> None:
        """Forget later steps, which a resumed run does again."""
        self.flush()
        self._thread.submit(self._attempt, lambda: self._remove_after(step)).result()

    def flush(self) -> None:
        """Wait until everything is written. A checkpoint must not outlive the rollouts that led to it."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Write what is left; failures were told before, or concern a run that has failed anyway."""
        self._thread.submit(self._close)
        self._thread.shutdown()

    # In the thread

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            if self._database is None:
                self._database = open_for_writing(self._path)
            self._database.execute("BEGIN IMMEDIATE")
            try:
                work()
                self._database.execute("COMMIT")
            except BaseException:
                self._rows.clear()
                if self._database.in_transaction:  # a full disk may have ended it already
                    self._database.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise RunError(
                f"{self._path}: rollouts cannot be written ({error}); free some space, or remove the file if it is "
                "damaged, and resume."
            ) from None

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()

    def _remove_after(self, step: int) -> None:
        assert self._database is not None
        for statement in (
            "DELETE FROM bodies WHERE key IN (SELECT key FROM groups WHERE step > ?)",
            "DELETE FROM groups WHERE step > ?",
            "DELETE FROM steps WHERE step > ?",
        ):
            self._database.execute(statement, (step,))

    def _keep_rows(self, rows: Iterable[Row], split: Split) -> None:
        for row in rows:
            self._row_key(row, split)

    def _keep(self, step: int, rollouts: Sequence[Rollout], advantages: Sequence[float] | None) -> None:
        assert self._database is not None
        pairs = [pair for rollout in rollouts for pair in zip(rollout.groups, rollout.scores, strict=True)]
        given = iter(advantages) if advantages is not None else None
        summaries = []
        for position, (group, scores) in enumerate(pairs):
            share = [next(given) for _ in scores] if given is not None else [None] * len(scores)
            summary = _summary(group, scores)
            summaries.append(summary)
            values = {"step": step, "position": position, "row": self._row_key(group.prompt.row, "train"), **summary}
            key = self._insert("groups", values)
            samples = list(self._samples(group, scores, share))
            lengths = [length for completion in group.completions for length in self._pieces(completion)]
            logprobs = [value for completion in group.completions for value in completion.logprobs]
            receipts, indices = _receipts(scores)
            for sample, index in zip(samples, indices, strict=True):
                sample["receipt"] = index
            body = pack_json({"samples": samples, "receipts": receipts})
            self._insert("bodies", {"key": key, "samples": body, "tokens": pack_tokens(lengths, logprobs)})
        self._insert("steps", {"step": step, **_step_summary(pairs, summaries)})

    def _samples(
        self, group: Group, scores: Sequence[Score], advantages: Sequence[float | None]
    ) -> Iterator[dict[str, Any]]:
        for completion, score, advantage in zip(group.completions, scores, advantages, strict=True):
            ended = completion.finish_reason is FinishReason.STOP and completion.token_ids
            entropies = completion.entropies
            yield {
                "text": completion.text,
                "tokens": len(completion.token_ids),
                "finish_reason": str(completion.finish_reason),
                "end": self._special(completion.token_ids[-1]) if ended else "",
                "logprob": sum(completion.logprobs),
                "entropy": sum(entropies) / len(entropies) if entropies else None,
                "reward": score.reward,
                "advantage": advantage,
                "verdict": str(score.receipt.verdict),
                "metrics": dict(score.metrics),
                "components": sorted(score.components),
                "details": dict(score.details),
            }

    def _row_key(self, row: Row, split: Split) -> int:
        """Number of a row in the file, where it is written once."""
        assert self._database is not None
        name = (split, as_text(row.id))
        if name in self._rows:
            return self._rows[name]
        found = self._database.execute("SELECT key FROM rows WHERE split = ? AND id = ?", name).fetchone()
        if found is None:
            asked = {
                "messages": [dict(message) for message in row.messages],
                "reference_answer": row.reference_answer,
                "metadata": dict(row.metadata),
                "tools": [dict(tool) for tool in row.tools],
            }
            values = {"split": split, "id": name[1], "line": row.line, "preview": preview_of(row)}
            found = (self._insert("rows", values | {"body": pack_json(asked)}),)
        self._rows[name] = int(found[0])
        return self._rows[name]

    def _insert(self, table: str, values: dict[str, Any]) -> int:
        assert self._database is not None
        places = ", ".join("?" * len(values))
        cursor = self._database.execute(
            f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})", tuple(values.values())
        )
        return int(cursor.lastrowid or 0)


def preview_of(row: Row) -> str:
    """The beginning of what a row asks last, on one line."""
    asked = next(
        (m for m in reversed(row.messages) if m.get("role") == "user"), row.messages[-1] if row.messages else {}
    )
    content = asked.get("content")
    return as_text(" ".join(content[: 4 * PREVIEW].split())[:PREVIEW]) if isinstance(content, str) else ""


def _summary(group: Group, scores: Sequence[Score]) -> dict[str, Any]:
    rewards = [score.reward for score in scores if score.is_scored]
    return {
        "samples": len(scores),
        "reward_mean": statistics.fmean(rewards) if rewards else None,
        "reward_std": statistics.stdev(rewards) if len(rewards) > 1 else None,
        "reward_min": min(rewards, default=None),
        "reward_max": max(rewards, default=None),
        "is_mixed": len(set(rewards)) > 1,
        "truncated": sum(completion.is_truncated for completion in group.completions),
        "failed": sum(score.is_failed for score in scores),
        "tokens": sum(len(completion.token_ids) for completion in group.completions),
        "rewards": json.dumps([None if math.isnan(score.reward) else round(score.reward, 6) for score in scores]),
    }


def _step_summary(
    pairs: Sequence[tuple[Group, Sequence[Score]]], summaries: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    rewards = [score.reward for _, scores in pairs for score in scores if score.is_scored]
    return {
        "groups": len(pairs),
        "samples": sum(one["samples"] for one in summaries),
        "reward_mean": statistics.fmean(rewards) if rewards else None,
        "reward_min": min(rewards, default=None),
        "reward_max": max(rewards, default=None),
        "mixed": sum(one["is_mixed"] for one in summaries),
        "truncated": sum(one["truncated"] > 0 for one in summaries),
        "failed": sum(one["failed"] > 0 for one in summaries),
    }


def _receipts(scores: Sequence[Score]) -> tuple[list[dict[str, Any]], list[int]]:
    """Each receipt once, and which one each score has; the samples of a call share theirs."""
    places: dict[int, int] = {}
    contents: list[dict[str, Any]] = []
    for score in scores:
        if id(score.receipt) not in places:
            places[id(score.receipt)] = len(contents)
            contents.append(receipt_content(score.receipt))
    return contents, [places[id(score.receipt)] for score in scores]
