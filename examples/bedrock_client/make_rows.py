"""Write train.jsonl and validation.jsonl: sentences on opening hours, and what is to be read from them."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

PLACES = ("bakery", "library", "museum", "pharmacy", "garage", "market hall", "swimming pool", "post office")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SENTENCES = (
    "On {day} the {place} opens at {time}.",
    "The {place}? It opens at {time} on {day}.",
    "From {time} on {day} you may come to the {place}.",
    "{day}: {place} from {time}.",
)
TASK = 'Read the opening time. Answer with JSON: {"place": ..., "day": ..., "time": ...}'


def rows(count: int, seed: str) -> list[dict[str, object]]:
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        facts = {
            "place": chance.choice(PLACES),
            "day": chance.choice(DAYS),
            "time": f"{chance.randrange(6, 12):02}:{chance.choice(('00', '15', '30', '45'))}",
        }
        sentence = chance.choice(SENTENCES).format(**facts)
        messages = [{"role": "system", "content": TASK}, {"role": "user", "content": sentence}]
        made.append({"messages": messages, "reference_answer": facts})
    return made


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 160
    for name, size in (("train", count), ("validation", max(8, count // 4))):
        lines = [json.dumps(row) + "\n" for row in rows(size, name)]
        Path(f"{name}.jsonl").write_text("".join(dict.fromkeys(lines)), encoding="utf-8")
