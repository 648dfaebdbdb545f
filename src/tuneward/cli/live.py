"""What a running training shows on the terminal: a sink like any other, so it sees what the files see."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tuneward.records import Record, metric_title, reported_metrics
from tuneward.runs.words import duration, duration_range

BLOCKS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 32
BAR_WIDTH = 24
"""Narrow enough for 80 columns with the numbers beside them."""
NOTICES = 5
"""Warnings and events kept on screen."""

PHASES = (
    ("seconds_rollout", "sampling", "blue"),
    ("seconds_reward", "reward", "yellow"),
    ("seconds_update", "update", "green"),
)

ROWS = (
    ("reward_mean", "reward", ".3f"),
    ("exact", "exact success", ".0%"),
    ("entropy", "entropy", ".2f"),
    ("completion_length_mean", "length, tokens", ".0f"),
    ("truncated_share", "truncated", ".0%"),
    ("zero_signal_share", "zero signal", ".0%"),
    ("grad_norm", "gradient norm", ".2g"),
)
"""Metric, its name on screen, its format."""
MOST_PARTS = 6
"""Rows for what the reward reports beside its score, such as the parts of a composition."""
WIDEST_TITLE = 24

SEVERITY_STYLES = {"stop": "bold red", "warning": "yellow", "info": "cyan"}


class LiveDisplay:
    """Shows a run as it goes; on anything but a terminal, one plain line per record.

    Messages come from reward functions and models: they are shown as text, never as markup.
    """

    def __init__(self, console: Console, total_steps: int, title: str) -> None:
        """
        Args:
            console: where to show it; its `is_terminal` decides between the two forms.
            total_steps: steps the run will make.
            title: first line, e.g. the run's name and model.
        """
        self._console = console
        self._total = total_steps
        self._title = title
        self._steps: list[float] = []
        """Training reward of every step, for the sparkline."""
        self._first: Record = {}
        self._last: Record = {}
        self._evaluations: list[Record] = []
        self._notices: deque[Text] = deque(maxlen=NOTICES)
        self._since = time.monotonic()
        self._live: Live | None = None
        self._is_closed = False

    def write(self, record: Record) -> None:
        """Take in a record and show it."""
        self._take(record)
        if not self._console.is_terminal:
            self._console.print(plain_line(record, self._total), soft_wrap=True, highlight=False)
        elif not self._is_closed:
            if self._live is None:
                # Drawn anew each second, so that a long step is seen to be alive.
                self._live = Live(get_renderable=self._render, console=self._console, refresh_per_second=1)
                self._live.start()
            self._live.refresh()

    def recall(self, records: Iterable[Record]) -> None:
        """Take in the records of earlier sittings without showing each; for a resumed run."""
        for record in records:
            self._take(record)

    def close(self) -> None:
        """Leave the last picture on the terminal and give it back; safe to call twice."""
        self._is_closed = True
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _take(self, record: Record) -> None:
        self._since = time.monotonic()
        kind = record["kind"]
        if kind == "step":
            self._first = self._first or record
            self._last = record
            if "reward_mean" in record:
                self._steps.append(record["reward_mean"])
        elif kind == "evaluation":
            self._evaluations.append(record)
        elif kind in ("warning", "event"):
            self._notices.append(_notice(record))

    def _render(self) -> Group:
        parts: list[Any] = [Text(self._title, style="bold", overflow="ellipsis", no_wrap=True), self._progress()]
        parts += [Text(), self._table()]
        validation = [e["reward_mean"] for e in self._evaluations if "reward_mean" in e]
        if self._steps or validation:
            parts += [Text(), _spark_line("training", self._steps, "blue")]
            parts.append(_spark_line("validation", validation, "yellow"))
        timing = self._last.get("timing", {})
        if any(timing.get(name) for name, *_ in PHASES):
            parts.append(_phase_bar(timing))
        if self._notices:
            parts += [Text(), *self._notices]
        return Group(*parts)

    def _progress(self) -> Table:
        step = self._last.get("step", 0)
        line = Table.grid(padding=(0, 2))
        line.add_row(
            ProgressBar(total=max(1, self._total), completed=step, width=BAR_WIDTH),
            Text(f"step {step}/{self._total}"),
            Text(_eta(self._last), style="dim"),
            Text("" if self._is_closed else f"{time.monotonic() - self._since:.0f} s since then", style="dim"),
        )
        return line

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 3))
        table.add_column(style="dim")
        for _ in range(4):
            table.add_column(justify="right")
        table.add_row("", *(Text(name, style="dim") for name in ("start", "now", "validation, base", "validation")))
        base = next((e for e in self._evaluations if e["step"] == 0), {})
        latest = self._evaluations[-1] if self._evaluations else {}
        held_out = ("held_out", "held-out reward", ".3f")
        parts = reported_metrics([latest, self._last])[:MOST_PARTS]
        named = [(name, shorten(metric_title(name)), ".3f") for name in parts]
        for name, title, form in (ROWS[0], held_out, *named, *ROWS[1:]):
            values = [_format(source, name, form) for source in (self._first, self._last, base, latest)]
            if any(values):
                values[1] = f"[bold]{values[1]}[/]"
                table.add_row(Text(title), *values)
        return table


def plain_line(record: Record, total_steps: int) -> Text:
    """A record as one line for logs, e.g. `step 3/20  reward 0.412  exact 12%  12.3 s  ETA 3–5 min`."""
    kind, step = record["kind"], record.get("step", 0)
    if kind == "step":
        parts = [f"step {step}/{total_steps}", *_measured(record)]
        parts += [f"{record['timing']['seconds_step']:.1f} s"] if "seconds_step" in record.get("timing", {}) else []
        parts += [eta] if (eta := _eta(record)) else []
    elif kind == "evaluation":
        parts = [f"validation after step {step}", *_measured(record)]
        parts += [f"{record['timing']['seconds']:.1f} s"] if "seconds" in record.get("timing", {}) else []
    elif kind == "preflight":
        parts = ["before training"]
        parts += [f"reward {record['reward_mean']:.3f}"] if "reward_mean" in record else []
        if "mixed_groups_share" in record:
            parts.append(f"groups with signal {record['mixed_groups_share']:.0%}")
    else:
        return _notice(record)
    return Text("  ".join(parts))


def shorten(title: str) -> str:
    """A name that leaves room for the numbers beside it."""
    return title if len(title) <= WIDEST_TITLE else f"{title[: WIDEST_TITLE - 1]}…"


def sparkline(values: list[float], width: int = SPARK_WIDTH) -> str:
    """Unicode blocks from lowest to highest; longer series are averaged into `width` bins, equal ones stay flat."""
    if len(values) > width:
        edges = [round(place * len(values) / width) for place in range(width + 1)]
        values = [sum(values[low:high]) / (high - low) for low, high in itertools.pairwise(edges)]
    if not values:
        return ""
    low, high = min(values), max(values)
    if high == low:
        return BLOCKS[0] * len(values)
    return "".join(BLOCKS[round((value - low) / (high - low) * (len(BLOCKS) - 1))] for value in values)


def _measured(record: Record) -> list[str]:
    shown = (("reward_mean", "reward", ".3f"), ("exact", "exact", ".0%"), ("entropy", "entropy", ".2f"))
    parts = [f"{title} {record[name]:{form}}" for name, title, form in shown if name in record]
    parts += [f"held-out {record['held_out']:.3f}"] if "held_out" in record else []
    length = record.get("completion_length_mean")
    return parts if length is None else [*parts, f"len {length:.0f}"]


def _spark_line(title: str, values: list[float], style: str) -> Text:
    line = Text().append(f"{title:<11}", style="dim")
    line.append(sparkline(values), style=style)
    if values:
        line.append(f"  {values[-1]:.3f}  ({min(values):.3f} … {max(values):.3f})", style="dim")
    return line


def _phase_bar(timing: dict[str, float]) -> Text:
    """One bar of the last step's seconds; every phase that took time gets at least one block."""
    seconds = [max(0.0, timing.get(name, 0.0)) for name, *_ in PHASES]
    whole = sum(seconds)
    line = Text().append(f"{'time':<11}", style="dim")
    for value, (_, _, style) in zip(seconds, PHASES, strict=True):
        line.append("█" * (max(1, round(value / whole * BAR_WIDTH)) if value > 0 else 0), style=style)
    for value, (_, title, style) in zip(seconds, PHASES, strict=True):
        line.append(f"  {title} {value:.1f} s", style=style)
    if "bound_fraction" in timing:
        line.append(f"  {timing['bound_fraction']:.0%} of the bound", style="dim")
    return line


def _notice(record: Record) -> Text:
    is_warning = record["kind"] == "warning"
    style = SEVERITY_STYLES.get(record.get("severity", "warning"), "yellow") if is_warning else "green"
    code = str(record.get("code", "")).replace("_", " ")
    line = Text().append(f"{record['kind']} at step {record.get('step', 0)}: ", style="dim")
    line.append(code, style=style)
    # A line break inside a message would tear the picture, and a log's line.
    return line.append(f": {' '.join(str(record.get('message', '')).split())}")


def _eta(record: Record) -> str:
    timing = record.get("timing", {})
    if "eta_low_s" in timing and "eta_high_s" in timing:
        return f"ETA {duration_range(timing['eta_low_s'], timing['eta_high_s'])}"
    return f"ETA {duration(timing['eta_s'])}" if "eta_s" in timing else ""


def _format(record: Record, name: str, form: str) -> str:
    return f"{record[name]:{form}}" if name in record else ""
