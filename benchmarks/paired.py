"""What every benchmark needs: paired ratios, a description of the machine, and one shape for the results.

Figures of two programs are compared in pairs, runs taken in turn (ours, peer, ours, peer, …): a machine that is slow
for a minute is then slow for both, and the ratio within a pair stays fair where two separate averages would not.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from rich.console import Console
from rich.table import Table

VERSIONS_OF = ("tuneward", "torch", "transformers", "peft", "trl")


class Figure(TypedDict):
    """One line of a benchmark."""

    name: str
    ours: float
    peer: float | None
    """The same quantity for the other program; None when there is nothing to compare with."""
    ratio: float | None
    """Ours divided by the peer's, or the median of such ratios; below 1 is better for times and memory."""
    unit: str


class Ratio(TypedDict):
    """How ours compares with the peer over several pairs."""

    median: float
    min: float
    max: float
    pairs: int


def paired_ratio(ours: Sequence[float], peer: Sequence[float]) -> Ratio:
    """Median, least and greatest of ours[i] / peer[i].

    Raises:
        ValueError: no pairs, different lengths, or a peer figure that is not above 0.
    """
    if not ours or len(ours) != len(peer):
        raise ValueError(f"paired figures needed: got {len(ours)} of ours and {len(peer)} of the peer's.")
    if min(peer) <= 0:
        raise ValueError(f"the peer's figures must be above 0; the least is {min(peer)}.")
    ratios = [mine / other for mine, other in zip(ours, peer, strict=True)]
    return {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios), "pairs": len(ratios)}


def paired_figure(name: str, ours: Sequence[float], peer: Sequence[float], unit: str) -> Figure:
    """A figure from paired measurements: the medians of both, and the median of the ratios within pairs."""
    return {
        "name": name,
        "ours": statistics.median(ours),
        "peer": statistics.median(peer),
        "ratio": paired_ratio(ours, peer)["median"],
        "unit": unit,
    }


def machine() -> dict[str, str | int | None]:
    """The machine the figures hold for."""
    return {
        "cpu": _cpu_model(),
        "cores": _usable_cores(),
        "memory_bytes": _memory_bytes(),
        "platform": platform.platform(),
        "python": platform.python_version(),
    }


def versions(peer: Mapping[str, str] | None = None) -> dict[str, str]:
    """Versions of the packages that decide the figures.

    Args:
        peer: versions in the peer's environment. Names unknown here are taken over; where both sides have another
            version of a package, the peer's appears as `peer <name>`.
    """
    found = {}
    for name in VERSIONS_OF:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    for name, version in (peer or {}).items():
        if name == "python":
            here = platform.python_version()
        else:
            here = found.setdefault(name, version)
        if here != version:
            found[f"peer {name}"] = version
    return found


def write_bench(
    path: Path,
    figures: Iterable[Figure],
    machine: Mapping[str, str | int | None],
    versions: Mapping[str, str],
) -> None:
    """Write a benchmark's results as JSON: `{"figures": […], "machine": {…}, "versions": {…}}`."""
    result = {"figures": list(figures), "machine": dict(machine), "versions": dict(versions)}
    # NaN would pass silently and make a file that strict readers refuse.
    text = json.dumps(result, indent=2, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def print_figures(figures: Iterable[Figure], title: str = "", console: Console | None = None) -> None:
    """Print the figures as a table."""
    table = Table(title=title or None)
    table.add_column("figure")
    for column in ("ours", "peer", "ours / peer"):
        table.add_column(column, justify="right")
    table.add_column("unit")
    for figure in figures:
        table.add_row(
            figure["name"],
            _number(figure["ours"]),
            _number(figure["peer"]),
            "–" if figure["ratio"] is None else f"{figure['ratio']:.2f}",
            figure["unit"],
        )
    (console or Console()).print(table)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _usable_cores() -> int:
    """Logical cores this process may run on, which in a container can be fewer than the machine has."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
