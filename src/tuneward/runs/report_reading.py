"""What the report reads from a run folder. Everything but the metrics may be missing or damaged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuneward.records import Record
from tuneward.runs.sinks import METRICS_FILE, read_records

LONGEST_TEXT = 1500
"""Characters shown of a prompt or an answer."""
MOST_SAMPLES = 12
MOST_PROBLEMS = 50
MOST_ITEMS = 8
"""Members shown of a list of plain values."""


@dataclass(frozen=True, slots=True)
class RunData:
    """A run folder's contents; None stands for a part that is absent or unreadable."""

    name: str
    records: list[Record]
    config: str | None
    manifest: dict[str, Any] | None
    data_report: dict[str, Any] | None
    result: dict[str, Any] | None
    samples: list[dict[str, Any]] | None

    def of_kind(self, *kinds: str) -> list[Record]:
        """Records of these kinds, in order."""
        return [record for record in self.records if record.get("kind") in kinds]


def read_run(run_dir: Path) -> RunData:
    """Read a run folder. Raises RunError when its metrics are missing or damaged."""
    return RunData(
        name=run_dir.resolve().name,
        records=read_records(run_dir / METRICS_FILE),
        config=_text(run_dir / "config.yaml"),
        manifest=_json(run_dir / "manifest.json"),
        data_report=_json(run_dir / "data_report.json"),
        result=_json(run_dir / "result.json"),
        samples=_samples(run_dir / "samples.jsonl"),
    )


def flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names (of nested ones, all parts) and readable values of a tree; lists of objects are left out."""
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{name} ")
        elif isinstance(value, list):
            if not any(isinstance(item, Mapping | list) for item in value):
                yield name, _list_words(value)
        elif name.endswith("_bytes") and isinstance(value, int | float):
            yield name.removesuffix("_bytes"), f"{value / 2**30:.1f} GiB"
        elif value is not None:
            yield name, ("yes" if value else "no") if isinstance(value, bool) else str(value)


def problems_of(data_report: Mapping[str, Any]) -> list[str]:
    """Findings of a data report, one line each: whatever in its lists is a sentence or has a `message`."""
    found: list[str] = []
    for value in data_report.values():
        if isinstance(value, Mapping):
            found += problems_of(value)
        elif isinstance(value, list):
            found += [_problem_words(item) for item in value if _has_message(item)]
    return found


def choose_samples(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Samples to show: the largest gains, the largest losses, then unchanged ones, in equal parts where possible.

    Gains alone would flatter the model; a third each shows where it got worse and what it still cannot do.
    """
    share = MOST_SAMPLES // 3
    scored = [(_gain(sample), place, sample) for place, sample in enumerate(samples)]
    gains = sorted((item for item in scored if item[0] > 0), key=lambda item: (-item[0], item[1]))
    losses = sorted((item for item in scored if item[0] < 0), key=lambda item: (item[0], item[1]))
    same = [item for item in scored if item[0] == 0]
    chosen = gains[:share] + losses[:share] + same[:share]
    rest = gains[share:] + losses[share:] + same[share:]
    return [sample for _, _, sample in chosen + rest[: MOST_SAMPLES - len(chosen)]]


def sample_view(sample: Mapping[str, Any]) -> dict[str, Any]:
    """A sample with every part present and short enough to show."""
    prompt = sample.get("prompt")
    messages = [message for message in prompt if isinstance(message, Mapping)] if isinstance(prompt, list) else []
    reference = sample.get("reference_answer")
    return {
        "id": str(sample.get("id", "")),
        "messages": [(str(m.get("role", "")), shorten(m.get("content") or "")) for m in messages],
        "reference": None if reference is None else shorten(reference),
        "answers": [
            (title, shorten(side.get("text") or ""), side.get("reward"))
            for title, side in (("Base model", sample.get("base") or {}), ("Tuned model", sample.get("tuned") or {}))
        ],
    }


def shorten(value: Any) -> str:
    """Text to show for a string or any JSON value; a long one is cut and says so."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) <= LONGEST_TEXT:
        return text
    return f"{text[:LONGEST_TEXT]} … ({len(text) - LONGEST_TEXT} more characters)"


def _gain(sample: Mapping[str, Any]) -> float:
    before, after = (sample.get(side) or {} for side in ("base", "tuned"))
    if before.get("reward") is None or after.get("reward") is None:
        return 0.0
    return float(after["reward"]) - float(before["reward"])


def _list_words(items: list[Any]) -> str:
    shown = ", ".join(str(item) for item in items[:MOST_ITEMS])
    return f"{shown}, … ({len(items)} in all)" if len(items) > MOST_ITEMS else shown or "none"


def _has_message(item: Any) -> bool:
    return "message" in item if isinstance(item, Mapping) else isinstance(item, str) and " " in item


def _problem_words(item: Any) -> str:
    if not isinstance(item, Mapping):
        return shorten(item)
    place = [str(item["file"])] if item.get("file") else []
    place += [f"line {item['line']}"] if item.get("line") else []
    parts = [str(item.get("severity") or ""), ", ".join(place), f"{item['message']} {item.get('fix') or ''}".strip()]
    return shorten(": ".join(part for part in parts if part))


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _json(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _samples(path: Path) -> list[dict[str, Any]] | None:
    text = _text(path)
    if text is None:
        return None
    found = []
    for line in text.split("\n"):
        try:
            sample = json.loads(line)
        except ValueError:
            continue
        if isinstance(sample, dict):
            found.append(sample)
    return found
