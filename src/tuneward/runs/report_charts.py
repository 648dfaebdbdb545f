"""Geometry of the report's charts: numbers in, coordinates out. The template draws them and escapes all text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

WIDTH, HEIGHT = 440.0, 210.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 12.0, 10.0, 26.0
"""Margins around the plot, in the same units; text is sized for a phone's width."""

MOST_POINTS = 500
"""Longer series are averaged in bins, so that a report stays small however long the run."""
MOST_CELLS = 60
"""Bars, and places that show their numbers when pointed at."""
LEAST_SMOOTHED = 15
"""Steps from which on a noisy series gets a running mean."""

Points: TypeAlias = list[tuple[float, float]]
"""(step, value), by step."""


@dataclass(frozen=True, slots=True)
class Series:
    """One quantity of a chart."""

    label: str
    points: Points
    style: str
    """CSS class: `train`, `second` or `validation` choose the color."""
    is_noisy: bool = False
    """Draw the values faintly with a running mean over them."""
    has_dots: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    label: str
    style: str
    path: str
    """Points of an SVG polyline."""
    is_faint: bool = False
    dots: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Bar:
    style: str
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A column of the plot that says its numbers when pointed at."""

    x: str
    width: str
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn chart; coordinates are text with one decimal."""

    title: str
    sentence: str
    legend: list[tuple[str, str]]
    """(label, style)"""
    x_ticks: list[tuple[str, str]]
    y_ticks: list[tuple[str, str]]
    cells: list[Cell]
    lines: list[Line] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    reference: str | None = None
    """Height of a dashed line."""
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM


def line_chart(
    title: str,
    sentence: str,
    series: Sequence[Series],
    *,
    is_share: bool = False,
    reference: float | None = None,
    reference_label: str = "",
) -> Chart | None:
    """A chart of one or more series over the steps; None when none has a value.

    Args:
        is_share: values are shares of 1; the axis goes from 0 to 100 %.
        reference: value at which a dashed line is drawn.
    """
    shown = [one for one in series if one.points]
    if not shown:
        return None
    steps = [step for one in shown for step, _ in one.points]
    values = [value for one in shown for _, value in one.points] + ([reference] if reference is not None else [])
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0] if is_share else nice_ticks(min(0.0, *values), max(values))
    x_of, y_of = _scales(max(steps), ticks[0], ticks[-1])
    lines: list[Line] = []
    for one in shown:
        binned = thin(one.points)
        dots = [(_text(x_of(step)), _text(y_of(value))) for step, value in binned] if one.has_dots else []
        is_faint = one.is_noisy and len(one.points) >= LEAST_SMOOTHED
        lines.append(Line(one.label, one.style, _path(binned, x_of, y_of), is_faint, dots))
        if is_faint:
            lines.append(Line(one.label, one.style, _path(thin(smooth(one.points)), x_of, y_of)))
    legend = [(one.label, one.style) for one in shown]
    if reference is not None:
        legend.append((reference_label, "reference"))
    return Chart(
        title,
        sentence,
        legend,
        [(_text(x_of(tick)), f"{tick:.0f}") for tick in step_ticks(max(steps))],
        [(_text(y_of(tick)), f"{tick:.0%}" if is_share else f"{tick:g}") for tick in ticks],
        _cells(shown, max(steps), is_share),
        lines,
        reference=None if reference is None else _text(y_of(reference)),
    )


def stacked_chart(title: str, sentence: str, series: Sequence[Series], unit: str) -> Chart | None:
    """Stacked bars over the steps, averaged in bins when there are many; None without values."""
    shown = [one for one in series if one.points]
    if not shown:
        return None
    last = max(step for one in shown for step, _ in one.points)
    width = max(1, math.ceil(last / MOST_CELLS))
    columns: dict[int, list[tuple[str, str, float]]] = {}
    for one in shown:
        for place, values in _binned(one.points, width).items():
            columns.setdefault(place, []).append((one.label, one.style, sum(values) / len(values)))
    ticks = nice_ticks(0.0, max(sum(value for *_, value in parts) for parts in columns.values()))
    x_of, y_of = _scales(last, ticks[0], ticks[-1], first=0.5, spare=0.5)
    bars, cells = [], []
    for place, parts in sorted(columns.items()):
        x, right = x_of(place * width + 0.5), x_of(min(last, (place + 1) * width) + 0.5)
        low = 0.0
        for _, style, value in parts:
            height = y_of(low) - y_of(low + value)
            bars.append(
                Bar(style, _text(x), _text(y_of(low + value)), _text(max(0.8, (right - x) * 0.82)), _text(height))
            )
            low += value
        said = ", ".join(f"{label} {value:.3g} {unit}" for label, _, value in parts)
        cells.append(
            Cell(_text(x), _text(right - x), f"{_steps(place * width + 1, min(last, (place + 1) * width))}: {said}")
        )
    return Chart(
        title,
        sentence,
        [(one.label, one.style) for one in shown],
        [(_text(x_of(tick)), f"{tick:.0f}") for tick in step_ticks(last) if tick >= 1],
        [(_text(y_of(tick)), f"{tick:g}") for tick in ticks],
        cells,
        bars=bars,
    )


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """About `count` + 1 round values that cover the range."""
    if high <= low:
        high = low + (abs(low) or 1.0)
    raw = (high - low) / count
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(tick * step, 12) for tick in range(first, last + 1)]


def step_ticks(last: float) -> list[float]:
    """Round steps from 0 to the last."""
    return [tick for tick in nice_ticks(0.0, max(1.0, last), 5) if tick == int(tick) and tick <= last]


def thin(points: Points) -> Points:
    """At most `MOST_POINTS` points; bins of steps become their means."""
    if len(points) <= MOST_POINTS:
        return points
    size = math.ceil(len(points) / MOST_POINTS)
    bins = [points[start : start + size] for start in range(0, len(points), size)]
    return [(sum(x for x, _ in bin) / len(bin), sum(y for _, y in bin) / len(bin)) for bin in bins]


def smooth(points: Points) -> Points:
    """Centered running mean; at the ends the window is cut, as one noisy last value must not look like a turn."""
    half = max(2, len(points) // 18)
    values = [value for _, value in points]
    result = []
    for place, (step, _) in enumerate(points):
        near = values[max(0, place - half) : place + half + 1]
        result.append((step, sum(near) / len(near)))
    return result


class _Scale:
    """Value → coordinate."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self._low, self._span, self._start, self._length = low, (high - low) or 1.0, start, end - start

    def __call__(self, value: float) -> float:
        return self._start + (value - self._low) / self._span * self._length


def _scales(last: float, low: float, high: float, *, first: float = 0.0, spare: float = 0.0) -> tuple[_Scale, _Scale]:
    across = _Scale(first, max(1.0, last) + spare, LEFT, WIDTH - RIGHT)
    return across, _Scale(low, high, HEIGHT - BOTTOM, TOP)


def _cells(series: Sequence[Series], last: float, is_share: bool) -> list[Cell]:
    width = max(1, math.ceil((last + 1) / MOST_CELLS))
    x_of, _ = _scales(last, 0, 1)
    said: dict[int, list[str]] = {}
    for one in series:
        for place, values in _binned(one.points, width, first=0).items():
            value = sum(values) / len(values)
            said.setdefault(place, []).append(f"{one.label} {value:.1%}" if is_share else f"{one.label} {value:.4g}")
    cells = []
    for place, parts in sorted(said.items()):
        x, right = max(LEFT, x_of(place * width - 0.5)), min(WIDTH - RIGHT, x_of((place + 1) * width - 0.5))
        steps = _steps(place * width, min(last, (place + 1) * width - 1))
        cells.append(Cell(_text(x), _text(right - x), f"{steps}: {', '.join(parts)}"))
    return cells


def _binned(points: Points, width: int, *, first: int = 1) -> dict[int, list[float]]:
    bins: dict[int, list[float]] = {}
    for step, value in points:
        bins.setdefault((int(step) - first) // width, []).append(value)
    return bins


def _steps(first: float, last: float) -> str:
    return f"step {first:.0f}" if first >= last else f"steps {first:.0f}–{last:.0f}"


def _path(points: Points, x_of: _Scale, y_of: _Scale) -> str:
    return " ".join(f"{_text(x_of(step))},{_text(y_of(value))}" for step, value in points)


def _text(coordinate: float) -> str:
    return f"{coordinate:.1f}"
