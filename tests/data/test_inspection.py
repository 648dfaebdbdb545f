"""A first look at a dataset says what a job would then do with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tuneward.config.server import StorageConfig
from tuneward.data import log_metadata, read_rows, split_holdout
from tuneward.data.inspection import Inspection, inspect_rows
from tuneward.data.log_metadata import read_log_metadata
from tuneward.data.objects import ObjectStore
from tuneward.data.row_kinds import PROMPTS
from tuneward.types import Row


def words(row: Row) -> int:
    return len(str(row.messages[0]["content"]).split())


def write(path: Path, prompts: list[str]) -> Path:
    rows = ({"messages": [{"role": "user", "content": text}], "reference_answer": "a"} for text in prompts)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def look(train: Path, **changes: Any) -> Inspection:
    settings: dict[str, Any] = {"kind": PROMPTS, "count_tokens": words, "max_tokens": 4, "holdout_share": 0.2}
    return inspect_rows(train, **(settings | changes))


@pytest.mark.parametrize("seed", [0, 7])
def test_the_split_is_the_one_that_a_job_makes(tmp_path: Path, seed: int) -> None:
    prompts = [f"{'long ' * (5 if n % 7 == 0 else 1)}{n % 60}" for n in range(100)]
    path = write(tmp_path / "train.jsonl", prompts)
    parts = split_holdout(read_rows(path), 0.2, seed)
    usable = [sum(words(row) <= 4 for row in part) for part in parts]
    split = look(path, seed=seed).split
    assert split is not None
    assert [split.train, split.validation] == usable


def test_rows_that_cannot_be_split_are_told(tmp_path: Path) -> None:
    found = look(write(tmp_path / "train.jsonl", ["same", "same"]))
    assert found.split is None
    assert "cannot be split" in str(found.split_problem)
    empty = look(write(tmp_path / "empty.jsonl", []))
    assert (empty.split, empty.split_problem, empty.rows) == (None, None, ())


@pytest.mark.parametrize(
    ("usual", "longest", "suggested"), [(60, 60, 64), (64, 64, 64), (60, 100, 128), (60, 120, 128), (20, 2000, 64)]
)
def test_the_suggested_limit_holds_every_row_but_the_far_longer_ones(
    tmp_path: Path, usual: int, longest: int, suggested: int
) -> None:
    prompts = [f"{n} " + "x " * (usual - 1) for n in range(200)]
    path = write(tmp_path / "train.jsonl", [*prompts, "x " * longest])
    assert look(path).suggested_limit == suggested


def test_what_a_check_raises_ends_the_look(tmp_path: Path) -> None:
    path = write(tmp_path / "train.jsonl", [f"q {n}" for n in range(10)])
    seen = 0

    def check() -> None:
        nonlocal seen
        seen += 1
        if seen == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look(path, check=check)
    assert seen == 3


def test_keys_and_values_of_logs_are_counted_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_metadata, "MAX_KEYS", 2)
    monkeypatch.setattr(log_metadata, "MAX_VALUES", 3)
    (tmp_path / "bucket").mkdir()
    records = [
        {"schemaType": "ModelInvocationLog", "requestMetadata": {"team": "red", "id": f"c{n % 5}", "third": "x"}}
        for n in range(10)
    ]
    given_metadata: list[Any] = [None, [], {"team": 7}, {}]
    odd = [{"schemaType": "ModelInvocationLog", "requestMetadata": given} for given in given_metadata]
    lines = [json.dumps(record) for record in [*records, *odd, {"schemaType": "Other"}]]
    (tmp_path / "bucket" / "logs.json").write_text("\n".join([*lines, "{oops"]))
    found = read_log_metadata(ObjectStore(StorageConfig(folder=tmp_path)), "s3://bucket/logs.json", None)
    assert (found.report.records, found.calls, found.matching) == (16, 14, 14)
    assert set(found.keys) == {"team", "id"}
    assert found.has_more_keys
    assert (found.keys["team"].calls, dict(found.keys["team"].values)) == (10, {"red": 10})
    assert found.keys["id"].has_more
    assert found.keys["id"].most_common() == [("c0", 2), ("c1", 2), ("c2", 2)]
