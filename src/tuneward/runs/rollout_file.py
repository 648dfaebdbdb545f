"""`rollouts.db`: the form of the file in which a run keeps its rollouts, and how it is opened.

One SQLite file; why, and why it has an ordinary rollback journal: docs/decisions/0017-rollouts-kept.md.

rows    the prompts of training and validation rows, each once
steps   what a step's groups were like, one line a step; step 0 is the base model's check for signal
groups  one line a group: what lists show
bodies  the samples of a group, compressed, and apart from them what is known of each of their tokens
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from tuneward.errors import RunError
from tuneward.types import Json

VERSION = 1
"""Raised when the tables change; a file of a later version is refused."""
PATIENCE_S = 60.0
"""Longest wait for another process that reads or writes; either takes milliseconds."""

TABLES = f"""
CREATE TABLE rows (
    key INTEGER PRIMARY KEY, split TEXT NOT NULL, id TEXT NOT NULL, line INTEGER NOT NULL, preview TEXT NOT NULL,
    body BLOB NOT NULL, UNIQUE (split, id)
);
CREATE TABLE steps (
    step INTEGER PRIMARY KEY, groups INTEGER, samples INTEGER, reward_mean REAL, reward_min REAL, reward_max REAL,
    mixed INTEGER, truncated INTEGER, failed INTEGER
);
CREATE TABLE groups (
    key INTEGER PRIMARY KEY, step INTEGER NOT NULL, position INTEGER NOT NULL, row INTEGER NOT NULL, samples INTEGER,
    reward_mean REAL, reward_std REAL, reward_min REAL, reward_max REAL, is_mixed INTEGER, truncated INTEGER,
    failed INTEGER, tokens INTEGER, rewards TEXT, UNIQUE (step, position)
);
CREATE INDEX groups_of_row ON groups (row, step);
CREATE TABLE bodies (key INTEGER PRIMARY KEY, samples BLOB NOT NULL, tokens BLOB NOT NULL);
PRAGMA user_version = {VERSION};
"""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """The file, made when it is missing; transactions begin and end where the caller says. Raises sqlite3.Error."""
    connection = sqlite3.connect(path, timeout=PATIENCE_S, isolation_level=None)
    # A killed process loses nothing that was committed, and whoever opens the file next takes back what was not. After
    # a power cut the newest steps may be missing.
    connection.execute("PRAGMA synchronous = NORMAL")
    if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
        connection.executescript(f"BEGIN IMMEDIATE;{TABLES}COMMIT;")
    return connection


@contextmanager
def opened_for_reading(path: Path) -> Iterator[sqlite3.Connection]:
    """The file for queries that see one state of it; training waits for them to end.

    Raises:
        RunError: damaged, of a later version, or another process holds it too long.
    """
    try:
        # Not `mode=ro`: whoever comes first after a kill has to roll back what was not committed.
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=PATIENCE_S / 4)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA query_only = ON")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise RunError(f"{path}: written by a later version of Tuneward; read it with that one.")
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise RunError(f"{path}: the rollouts cannot be read ({error}).") from None


def pack_json(value: Json) -> bytes:
    """Compressed JSON. Halves of surrogate pairs, which graders can bring, become question marks."""
    return zlib.compress(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"), 1)


def unpack_json(packed: bytes) -> Json:
    """What `pack_json` was given; None where a number was not finite."""
    return json.loads(zlib.decompress(packed), parse_constant=lambda _: None)


def pack_tokens(lengths: Sequence[int], logprobs: Sequence[float]) -> bytes:
    """Characters and log-prob of each token of a group. Half precision: three digits, as many as anybody looks at."""
    characters = np.asarray(lengths, dtype="<u4").tobytes()
    with np.errstate(over="ignore"):
        return zlib.compress(characters + np.asarray(logprobs, dtype="<f2").tobytes(), 1)


def unpack_tokens(packed: bytes) -> tuple[list[int], list[float]]:
    """What `pack_tokens` was given, log-probs rounded."""
    raw = zlib.decompress(packed)
    count = len(raw) // 6
    lengths = np.frombuffer(raw, dtype="<u4", count=count)
    return lengths.tolist(), np.frombuffer(raw, dtype="<f2", offset=4 * count).astype(float).round(4).tolist()


def as_text(value: Any) -> str:
    """A string that SQLite takes."""
    return str(value).encode("utf-8", "replace").decode()
