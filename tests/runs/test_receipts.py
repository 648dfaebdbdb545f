"""What a run writes down of its grader calls."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Outcome, ToyJob

from tuneward.errors import RunError
from tuneward.runs.receipts import ReceiptedGrader, receipt_lines
from tuneward.types import Receipt, Row, Sample, Score, Verdict

CALL = Receipt("r.py@1", Verdict.OK, wall_s=0.5, limits={"timeout_s": 30.0}, isolation="process", stdout_tail="x" * 999)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_samples_of_a_call_share_a_line_and_failures_have_their_own() -> None:
    bad = Receipt("r.py@1", Verdict.INVALID, "no score for s-2", wall_s=0.5, stdout_tail="x" * 999)
    scores = [Score("s-0", 1.0, CALL), Score("s-1", 0.0, CALL), Score("s-2", math.nan, bad)]
    first, second = (json.loads(line) for line in receipt_lines(scores))
    assert (first["samples"], first["verdict"], first["limits"]) == (["s-0", "s-1"], "ok", {"timeout_s": 30.0})
    assert (second["samples"], second["message"]) == (["s-2"], "no score for s-2")
    assert (len(first["stdout_tail"]), len(second["stdout_tail"])) == (400, 999)


def test_a_run_has_a_receipt_for_every_sample(cli: Callable[..., Outcome], toy_job: ToyJob) -> None:
    assert cli("train", toy_job.config(training={"max_steps": 2})).code == 0
    receipts = read(toy_job.run / "receipts.jsonl")
    named = {sample for receipt in receipts for sample in receipt["samples"]}
    sampled = {name for name in named if name.startswith(("1/", "2/"))}
    assert len(sampled) == 2 * 2 * 4  # steps, prompts of each, samples of each
    assert any(name.startswith("0/validation-") for name in named)
    assert all(receipt["grader"].startswith("reward.py@") and receipt["verdict"] == "ok" for receipt in receipts)
    assert {receipt["isolation"] for receipt in receipts} == {"process"}


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    class Grader:
        name = "g"

        def score(self, samples: list[Sample]) -> list[Score]:
            return [Score(sample.id, 1.0, CALL) for sample in samples]

        def close(self) -> None:
            """Nothing to close."""

    grader = ReceiptedGrader(Grader(), tmp_path / "missing" / "receipts.jsonl")
    with pytest.raises(RunError, match="receipts cannot be written"):
        grader.score([Sample("s-0", Row("r", ()), "x")])
