"""Make the demo's data: `python -m tuneward.demo.generate` writes train.jsonl and validation.jsonl.

The same seed gives the same bytes on every machine. Training and validation use different sentence templates and
other names, so a model can do well on validation only by having learned the task.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tuneward.demo import FOLDER
from tuneward.demo.texts import CITIES, NAMES, TRAIN_TEMPLATES, VALIDATION_TEMPLATES

SEED = 20
TRAIN_ROWS = 200
VALIDATION_ROWS = 64

INSTRUCTION = "Extract the person's name, age and city. Answer with a JSON object with the keys name, age and city."
"""System message of every row. It shows no example of the format: learning the format is the task."""

MIN_AGE, MAX_AGE = 24, 79


@dataclass(frozen=True, slots=True)
class Split:
    """What one file is made of."""

    name: str
    rows: int
    templates: Sequence[str]
    names: Sequence[str]


def splits() -> tuple[Split, Split]:
    """(training, validation). Every fourth name is kept for validation."""
    return (
        Split("train", TRAIN_ROWS, TRAIN_TEMPLATES, [name for i, name in enumerate(NAMES) if i % 4]),
        Split("validation", VALIDATION_ROWS, VALIDATION_TEMPLATES, NAMES[::4]),
    )


def make_rows(split: Split, seed: int = SEED) -> list[dict[str, Any]]:
    """Rows of one file, as plain values. Templates and names are used equally often."""
    random = Random(f"{seed}/{split.name}")
    names = random.sample(split.names, len(split.names))
    templates = [split.templates[i % len(split.templates)] for i in range(split.rows)]
    random.shuffle(templates)
    return [
        _make_row(f"{split.name}-{i + 1:03d}", template, names[i % len(names)], random)
        for i, template in enumerate(templates)
    ]


def _make_row(row_id: str, template: str, name: str, random: Random) -> dict[str, Any]:
    age = random.randint(MIN_AGE, MAX_AGE)
    city = random.choice(CITIES)
    text = template.format(
        name=name,
        age=age,
        city=city,
        number=random.choice([n for n in range(2, 200) if n != age]),
        years=random.randint(2, min(age - 20, 23)),  # below the youngest age, so it is never the answer
        year=random.randint(1996, 2024),
    )
    return {
        "id": row_id,
        "messages": [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": text}],
        "reference_answer": {"name": name, "age": age, "city": city},
    }


def write(folder: Path, seed: int = SEED) -> list[Path]:
    """Write both files into `folder`; returns their paths."""
    paths = []
    for split in splits():
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in make_rows(split, seed)]
        path = folder / f"{split.name}.jsonl"
        path.write_bytes("".join(lines).encode("utf-8"))
        paths.append(path)
    return paths


if __name__ == "__main__":
    for written in write(FOLDER):
        print(written)
