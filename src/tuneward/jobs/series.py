"""The numbers of a job as columns: one per metric, one entry per record, ready to be drawn.

Records are read as text and taken apart in slices, because a database object and a parsed record for each of thousands
of steps would cost several times as much. However long a run is, at most `MOST_READ` records are read at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeGuard

from sqlalchemy import Executable, Text, cast, func, select
from sqlalchemy.orm import Session

from tuneward.evaluation.intervals import mean_interval, share_interval
from tuneward.records import Record
from tuneward.store.database import Database
from tuneward.store.tables import Job, JobEvent

Kind: TypeAlias = Literal["step", "evaluation"]
Number: TypeAlias = float | int | None
Columns: TypeAlias = dict[str, list[Number]]

MOST_READ = 10_000
"""Records; of longer runs every second, third, … is read, the newest always."""
SLICE = 500
"""Records that are in memory as records at the same time."""

BANDS = ("reward_low", "reward_high", "exact_low", "exact_high")
"""95 % intervals of `reward_mean` and `exact`, made of what a record says."""


@dataclass
class Series:
    """Numbers of one kind of record, oldest first; every list is as long as `steps`."""

    last: int
    """`seq` of the newest event in it, to go on from; that asked for when there is none."""
    steps: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    """When each record was written, seconds since 1970."""
    columns: Columns = field(default_factory=dict)
    """Name → values, None where a record has none. What stands under `timing` is `timing/NAME`."""


def read_series(
    database: Database,
    job: Job,
    kind: Kind,
    *,
    keys: Sequence[str] | None = None,
    after: int = 0,
    max_points: int = 5000,
) -> Series:
    """A job's numbers.

    Args:
        keys: names of metrics; None: all that there are.
        after: `Series.last` of what is known already.
        max_points: of longer runs, neighbouring records become one point with their means and the last one's step.

    Raises:
        StoreError: the database is gone.
    """
    series = Series(after)
    prompts = _prompts_per_step(job) if kind == "step" else None

    def work(session: Session) -> None:
        for seqs, times, records in _slices(session, _query(session, job.id, kind, after, most=MOST_READ)):
            _append(series, records, times, keys, prompts)
            series.last = seqs[-1]

    database.read(work)
    return _thinned(series, max_points)


def names_seen(database: Database, job: Job, kind: Kind, *, records: int = 200) -> list[str]:
    """Names of a job's metrics in the order in which records have them, from some records evenly over the run."""
    names: dict[str, None] = {}

    def work(session: Session) -> None:
        for _, _, found in _slices(session, _query(session, job.id, kind, 0, most=records)):
            for record in found:
                names.update(dict.fromkeys(name for name, value in _flat(record) if is_number(value)))

    database.read(work)
    return list(names)


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value of a record can be drawn."""
    return type(value) in (float, int)


def _query(session: Session, job_id: str, kind: Kind, after: int, *, most: int) -> Executable:
    """Number, time and record of events, the newest among them."""
    wanted = (JobEvent.job_id == job_id, JobEvent.type == "metrics", JobEvent.code == kind, JobEvent.seq > after)
    total = session.scalar(select(func.count()).where(*wanted)) or 0
    query = select(JobEvent.seq, JobEvent.created_at, cast(JobEvent.data, Text))
    if total <= most:
        return query.where(*wanted).order_by(JobEvent.seq)
    stride = -(-total // most)
    place = func.row_number().over(order_by=JobEvent.seq).label("place")
    placed = select(JobEvent.seq, place).where(*wanted).subquery()
    chosen = select(placed.c.seq).where(placed.c.place % stride == total % stride)
    return query.where(JobEvent.seq.in_(chosen)).order_by(JobEvent.seq)


def _slices(session: Session, query: Executable) -> Iterator[tuple[Sequence[int], Sequence[float], list[Record]]]:
    for rows in session.execute(query).partitions(SLICE):
        seqs, times, texts = zip(*rows, strict=True)
        yield seqs, times, json.loads(f"[{','.join(texts)}]")  # one call for all: half the time of one each


def _append(
    series: Series, records: list[Record], times: Sequence[float], keys: Sequence[str] | None, prompts: int | None
) -> None:
    known = len(series.steps)
    columns = _columns(records, prompts)
    for name in dict.fromkeys([*series.columns, *columns]) if keys is None else keys:
        column = series.columns.setdefault(name, [None] * known)
        column.extend(columns.get(name) or [None] * len(records))
    series.steps += [record["step"] for record in records]
    series.times += times


def _columns(records: list[Record], prompts: int | None) -> Columns:
    top = {name: None for record in records for name in record}
    timings = [record.get("timing") or {} for record in records]
    columns = {name: [record.get(name) for record in records] for name in top if name not in ("step", "timing")}
    for name in {name: None for timing in timings for name in timing}:
        columns[f"timing/{name}"] = [timing.get(name) for timing in timings]
    for name, column in zip(BANDS, zip(*(_bands(record, prompts) for record in records), strict=True), strict=True):
        columns[name] = list(column)
    numbers = {name: [value if is_number(value) else None for value in column] for name, column in columns.items()}
    return {name: column for name, column in numbers.items() if any(value is not None for value in column)}


def _bands(record: Mapping[str, Any], prompts: int | None) -> tuple[Number, Number, Number, Number]:
    """Ends of the intervals of reward and exact share, in the order of `BANDS`."""
    n = prompts if prompts is not None else (record.get("rows") or 0) - (record.get("grader_errors") or 0)
    mean, std, exact = record.get("reward_mean"), record.get("reward_std"), record.get("exact")
    reward = mean_interval(mean, std, n) if is_number(mean) and is_number(std) else None
    share = share_interval(exact, n) if is_number(exact) else None
    return (*(reward or (None, None)), *(share or (None, None)))


def _prompts_per_step(job: Job) -> int:
    """Independent draws of a step's mean; 0 when the job has not planned its steps yet."""
    size = (job.progress.get("plan") or {}).get("batch_size")
    return size if isinstance(size, int) else 0


def _flat(record: Record) -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if name == "timing":
            yield from ((f"timing/{inner}", number) for inner, number in (value or {}).items())
        elif name != "step":
            yield name, value


def _thinned(series: Series, max_points: int) -> Series:
    size = -(-len(series.steps) // max_points)
    if size <= 1:
        return series
    starts = range(0, len(series.steps), size)
    ends = [min(start + size, len(series.steps)) for start in starts]
    return Series(
        series.last,
        [series.steps[end - 1] for end in ends],
        [series.times[end - 1] for end in ends],
        {
            name: [_mean(column[start:end]) for start, end in zip(starts, ends, strict=True)]
            for name, column in series.columns.items()
        },
    )


def _mean(values: Sequence[Number]) -> Number:
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None
