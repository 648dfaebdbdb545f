"""Durations in words, for people."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """A duration with two units at most: `12.3 s`, `4 min 05 s`, `2 h 10 min`, `3 d 4 h`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h"


def duration_range(low: float, high: float) -> str:
    """A range of durations in one unit: `40–55 s`, `3–5 min`, `1.5–2.1 h`; one number when both round to it."""
    for limit, size, unit in ((90.0, 1.0, "s"), (5400.0, 60.0, "min"), (float("inf"), 3600.0, "h")):
        if high < limit:
            digits = 1 if unit == "h" else 0
            first, last = f"{low / size:.{digits}f}", f"{high / size:.{digits}f}"
            return f"{last} {unit}" if first == last else f"{first}–{last} {unit}"
    raise AssertionError("the last unit has no limit")
