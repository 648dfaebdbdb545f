"""The reader's memory: one line at most, whatever the file."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

from tuneward.data import Code, Problem, iter_rows
from tuneward.types import Row

MIB = 1 << 20


def user(text: str, **extra: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **extra}


def peak_bytes(work: Callable[[], Any]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_line_beyond_the_limit_is_never_held(tmp_path):
    path = tmp_path / "train.jsonl"
    with path.open("wb") as file:
        file.write(json.dumps(user("before")).encode() + b"\n")
        for _ in range(60):
            file.write(b"x" * MIB)
        file.write(b"\n" + json.dumps(user("after")).encode())
    items: list[Row | Problem] = []
    peak = peak_bytes(lambda: items.extend(iter_rows(path, max_line_bytes=MIB)))
    assert [item.line for item in items] == [1, 2, 3]
    assert items[1].code is Code.LINE_TOO_LONG
    assert "60.0 MiB long" in items[1].message
    assert peak < 4 * MIB


def test_a_line_of_ten_megabytes_is_accepted_within_a_few_times_its_size(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_bytes(json.dumps(user("word " * (2 * MIB))).encode())
    lengths: list[int] = []
    peak = peak_bytes(lambda: lengths.extend(len(row.messages[0]["content"]) for row in iter_rows(path)))
    assert lengths == [10 * MIB]
    assert peak < 60 * MIB


def test_the_limit_counts_the_line_end(tmp_path):
    path = tmp_path / "train.jsonl"
    line = json.dumps(user("x")).encode()
    path.write_bytes(line + b"\n" + line + b"\r\n" + line)
    items = list(iter_rows(path, max_line_bytes=len(line) + 1))
    assert [type(item) for item in items] == [Row, Problem, Row]


def test_many_rows_are_streamed(tmp_path):
    path = tmp_path / "train.jsonl"
    with path.open("wb") as file:
        for n in range(2000):
            file.write(json.dumps(user(f"{n} " + "x" * 30_000)).encode() + b"\n")
    assert path.stat().st_size > 57 * MIB
    count = 0

    def consume() -> None:
        nonlocal count
        for _ in iter_rows(path):
            count += 1

    assert peak_bytes(consume) < 2 * MIB
    assert count == 2000
