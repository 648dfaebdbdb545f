"""`receipts.jsonl`: what happened in each grader call of a run."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from tuneward.errors import RunError
from tuneward.types import Grader, Receipt, Sample, Score, Verdict

SHOWN_TAIL = 400
"""Characters kept of what a call that went well has printed; those of a failed one are kept whole."""


class ReceiptedGrader:
    """A grader whose receipts are written down: one line a call, or several where its samples ended differently.

    Args:
        grader: closed with this one.
        path: appended to; a resumed run goes on in it, so that calls made twice stand there twice.
    """

    def __init__(self, grader: Grader, path: Path) -> None:
        self._grader = grader
        self._path = path
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None

    @property
    def name(self) -> str:
        return self._grader.name

    def score(self, samples: list[Sample]) -> list[Score]:
        """As the grader's own. Raises RunError when the file cannot be written."""
        scores = self._grader.score(samples)
        lines = b"".join(receipt_lines(scores))
        try:
            with self._lock:
                if self._file is None:
                    self._file = self._path.open("ab")
                self._file.write(lines)
                self._file.flush()
        except OSError as error:
            raise RunError(f"{self._path}: receipts cannot be written ({error.strerror}); free some space.") from None
        return scores

    def close(self) -> None:
        self._grader.close()
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None


def receipt_lines(scores: Sequence[Score]) -> list[bytes]:
    """One JSON line for each different receipt, with the ids of its samples."""
    samples: dict[str, list[str]] = {}
    known: dict[int, str] = {}  # the samples of a call share one object; each is written out once
    for score in scores:
        if id(score.receipt) not in known:
            known[id(score.receipt)] = _encoded(score.receipt)
        samples.setdefault(known[id(score.receipt)], []).append(score.sample_id)
    return [
        f'{{"samples": {json.dumps(ids, ensure_ascii=False)}, {receipt[1:]}\n'.encode("utf-8", "backslashreplace")
        for receipt, ids in samples.items()
    ]


def receipt_content(receipt: Receipt) -> dict[str, Any]:
    """A receipt as plain values, with less of what a call that went well has printed."""
    content = dataclasses.asdict(receipt)
    if receipt.verdict is Verdict.OK:
        for tail in ("stdout_tail", "stderr_tail"):
            content[tail] = content[tail][-SHOWN_TAIL:]
    return content


def _encoded(receipt: Receipt) -> str:
    return json.dumps(receipt_content(receipt), ensure_ascii=False)
