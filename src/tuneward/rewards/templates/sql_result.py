"""Does the query give the right rows?

    the right rows                          1.0
    other rows                              0.2, and up to 0.5 more for the rows in common
    a query that fails, writes, or is none  0.0

The answer's last ```sql block (else the whole answer, if it starts with SELECT, WITH or VALUES) runs on a database in
memory that the row describes. It can only read, and is stopped after MAX_STEPS steps or MAX_ROWS rows. Rows are
compared as a set that counts repetitions, in order only when the row says so; 1 and 1.0 are the same, and so are
numbers that differ after the sixth decimal; names of columns do not matter, their order does.

Row: `reference_answer` is an object with `setup` (SQL that makes the tables; or in the row's own field `setup`), either
`query` (a right query) or `rows`, and `ordered` if order matters. Or it is the right query, with `setup` in the row.

    {"messages": [{"role": "user", "content": "Table staff(name, pay). Who earns more than 50?"}],
     "reference_answer": {"setup": "CREATE TABLE staff(name, pay); INSERT INTO staff VALUES ('Ada', 60), ('Bo', 40);",
                          "query": "SELECT name FROM staff WHERE pay > 50"}}

What it cannot see: a query that is right on these rows only (SELECT 'Ada'). Give tables enough rows that guessing them
does not pay. The dialect is SQLite's.
"""

import re
import sqlite3
import time
from collections import Counter
from contextlib import closing
from typing import Any

RUNS = 0.2
"""Score of a query that runs but gives other rows."""

OVERLAP = 0.5
"""Most that rows in common add to it."""

MAX_STEPS = 2_000_000
"""Steps of the database's machine after which a query is stopped; some tenths of a second."""

MAX_CPU_S = 3.0
"""Seconds of processor time after which a query is stopped whose steps take long."""

MAX_ROWS = 10_000
"""Rows after which a query is stopped."""

MAX_VALUE_BYTES = 100_000
"""Largest text or blob a query may make."""

MAX_MEMORY_BYTES = 128 << 20
"""Most that the database may take."""

Scores = tuple[float, dict[str, float], dict[str, float]]
"""The reward, its components, and what is only measured."""

Rows = list[tuple[Any, ...]]
FENCE = re.compile(r"```(?:sql|sqlite)?[ \t]*\n(.*?)```", re.DOTALL | re.IGNORECASE)
QUERY = re.compile(r"\s*(?:--[^\n]*\n\s*)*(?:select|with|values)\b", re.IGNORECASE)
STEPS_AT_ONCE = 1000
FAILURES = (sqlite3.Error, sqlite3.Warning, ValueError, MemoryError)
READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}


def score(sample: dict[str, Any]) -> Scores:
    """Score one sample."""
    setup, right, is_ordered = expected(sample)
    text = after_reasoning(completion_of(sample))
    blocks = FENCE.findall(text)
    query = blocks[-1] if blocks else text
    with closing(database(setup)) as connection:
        wanted = right if isinstance(right, list) else reference_rows(connection, right)
        try:
            given = rows_of(connection, query) if QUERY.match(query) else None
        except FAILURES:
            given = None
    if given is None:
        return 0.0, {"runs": 0.0, "rows": 0.0}, {"correct": 0.0}
    left, other = Counter(given), Counter(wanted)
    overlap = 2 * (left & other).total() / max(1, len(given) + len(wanted))
    is_right = given == wanted if is_ordered else left == other
    reward = 1.0 if is_right else RUNS + OVERLAP * overlap
    return reward, {"runs": 1.0, "rows": 1.0 if is_right else overlap}, {"correct": float(is_right)}


def expected(sample: dict[str, Any]) -> tuple[str, str | Rows, bool]:
    """SQL that makes the tables, the right query or rows, and whether order matters."""
    reference = field_of(sample, "reference_answer")
    fields = reference if isinstance(reference, dict) else {"query": reference}
    setup = fields.get("setup") or field_of(sample, "setup")
    query, rows = fields.get("query"), fields.get("rows")
    is_ordered = fields.get("ordered", False)
    if not isinstance(setup, str) or not isinstance(is_ordered, bool):
        raise ScoringError("the row needs setup, SQL that makes the tables; ordered, if given, is true or false")
    if isinstance(rows, list):
        if not all(isinstance(row, list) for row in rows):
            raise ScoringError("reference_answer.rows must be a list of lists")
        return setup, [tuple(comparable(value) for value in row) for row in rows], is_ordered
    if not isinstance(query, str):
        raise ScoringError("reference_answer must have query, SQL as text, or rows, a list of lists")
    return setup, query, is_ordered


def database(setup: str) -> sqlite3.Connection:
    """A database in memory with the row's tables; from then on it can only be read."""
    connection = sqlite3.connect(":memory:")
    try:
        limit(connection)
        connection.execute(f"PRAGMA hard_heap_limit = {MAX_MEMORY_BYTES}")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
        connection.set_authorizer(lambda action, *_: int(action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH)))
        connection.executescript(setup)
        connection.set_authorizer(lambda action, *_: int(action not in READING))
    except FAILURES as error:
        connection.close()
        raise ScoringError(f"setup fails: {error}") from None
    return connection


def limit(connection: sqlite3.Connection) -> None:
    """Stop the statements that follow after MAX_STEPS or MAX_CPU_S."""
    left = iter(range(MAX_STEPS // STEPS_AT_ONCE))
    until = time.process_time() + MAX_CPU_S
    connection.set_progress_handler(lambda: next(left, None) is None or time.process_time() > until, STEPS_AT_ONCE)


def reference_rows(connection: sqlite3.Connection, query: str) -> Rows:
    """Rows of the row's own query."""
    try:
        return rows_of(connection, query)
    except FAILURES as error:
        raise ScoringError(f"reference_answer.query fails: {error}") from None


def rows_of(connection: sqlite3.Connection, query: str) -> Rows:
    """Rows of one statement that reads. Raises sqlite3.Error when it fails, writes, or goes on for too long."""
    limit(connection)
    with closing(connection.execute(query)) as cursor:
        rows = cursor.fetchmany(MAX_ROWS + 1)
    if len(rows) > MAX_ROWS:
        raise sqlite3.OperationalError(f"more than {MAX_ROWS} rows")
    return [tuple(comparable(value) for value in row) for row in rows]


def comparable(value: Any) -> Any:
    """A value of a row in the form in which it is compared."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() else round(value, 6)
    if isinstance(value, list | dict):
        raise ScoringError("reference_answer.rows holds lists of plain values")
    return value


# --- From here on every template is the same: how samples come in and scores go out. ---


class ScoringError(Exception):
    """The sample cannot be scored, and the completion is not to blame: the row is wrong, or a tool is missing."""


def lambda_handler(event: list[dict[str, Any]], context: Any) -> list[dict[str, Any]]:  # noqa: ARG001
    """Answer {id, aggregate_reward_score, metrics_list} per sample, or {id, error} where that cannot be."""
    return [answer(sample) for sample in event]


def answer(sample: dict[str, Any]) -> dict[str, Any]:
    """The entry of one sample: components of the reward have type Reward, what is only measured has type Metric."""
    try:
        reward, components, measurements = score(sample)
    except ScoringError as error:
        return {"id": sample.get("id"), "error": str(error)}
    metrics = [{"name": name, "value": value, "type": "Reward"} for name, value in components.items()]
    metrics += [{"name": name, "value": value, "type": "Metric"} for name, value in measurements.items()]
    return {"id": sample.get("id"), "aggregate_reward_score": reward, "metrics_list": metrics}


def field_of(sample: dict[str, Any], name: str) -> Any:
    """A field of the row, which stands at the top or in the metadata; text may come as {"text": …}."""
    metadata = sample.get("metadata")
    value = sample.get(name)
    if value is None and isinstance(metadata, dict):
        value = metadata.get(name)
    return value["text"] if isinstance(value, dict) and list(value) == ["text"] else value


def completion_of(sample: dict[str, Any]) -> str:
    """The text of the last message: a string, an object with `text`, or a list of such parts."""
    messages = sample.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    content = last.get("content") if isinstance(last, dict) else None
    parts = [
        part.get("text") if isinstance(part, dict) else part
        for part in (content if isinstance(content, list) else [content])
    ]
    return "".join(part for part in parts if isinstance(part, str))


def after_reasoning(text: str) -> str:
    """What follows the reasoning, where a model marks that with <think>…</think>; nothing when it never ended."""
    return text.rpartition("</think>")[2].partition("<think>")[0]
