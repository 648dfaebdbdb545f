"""Calls of a function as its log has them, newest first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tuneward.rewards.functions.log import FunctionLog

OUTPUT_CHARACTERS = 16_000
"""Shown of one call's output; the log keeps 4 KB of each stream."""

_START = re.compile(r"START RequestId: ([0-9a-f-]{36}) Version: (\S+)")
_REPORT = re.compile(
    r"REPORT RequestId: [0-9a-f-]{36}\tDuration: ([0-9.]+) ms\t.*\tMax Memory Used: (\d+) MB"
    r"(?:\tStatus: (?:(timeout)|error\tError Type: (.*)))?"
)


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """One call."""

    request_id: str
    time: str
    """When it ended: ISO 8601, UTC."""
    version: str
    duration_ms: float
    peak_memory_mb: int
    error: str | None
    """Type of the failure; None: it answered."""
    output: str
    """What it printed."""


def recent_calls(log: FunctionLog, limit: int, *, before: str | None = None) -> tuple[list[LoggedCall], bool]:
    """The newest calls, and whether there are older ones.

    Args:
        limit: at most so many.
        before: id of a request; those after it, and itself, are left out. One that the log no longer has gives none.
    """
    calls = list(_calls(log.read().splitlines()))[::-1]
    if before is not None:
        place = next((index for index, call in enumerate(calls) if call.request_id == before), len(calls))
        calls = calls[place + 1 :]
    return calls[:limit], len(calls) > limit


def _calls(lines: list[str]) -> Iterator[LoggedCall]:
    """A call is only what stands between a START and the REPORT after its END: output may look like either."""
    found: re.Match[str] | None = None
    output: list[str] = []
    is_ended = False
    for line in lines:
        time, _, text = line.partition("\t")
        if found is None:
            found, output, is_ended = _START.fullmatch(text), [], False
        elif text == f"END RequestId: {found[1]}":
            is_ended = True
        elif is_ended and (report := _REPORT.fullmatch(text)):
            error = "timeout" if report[3] else report[4]
            shown = "\n".join(output)[-OUTPUT_CHARACTERS:]
            yield LoggedCall(found[1], time, found[2], float(report[1]), int(report[2]), error, shown)
            found = None
        else:
            output.append(text)
