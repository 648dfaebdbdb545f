"""Write train.jsonl and validation.jsonl: `python make_rows.py [ROWS]`. Short reports that are to be summarized."""

import json
import random
import sys
from pathlib import Path

REQUEST = "Summarize this report in one or two sentences."
PLACES = ("harbour", "library", "school kitchen", "tram depot", "greenhouse", "swimming pool", "museum", "bakery")
FAULTS = (
    ("the boiler failed", "the rooms were cold", "a part was ordered"),
    ("a pipe burst", "the cellar was under water", "the water was pumped out"),
    ("the power went out", "work stopped", "a generator was brought"),
    ("the roof leaked", "boxes got wet", "the roof was covered"),
    ("the door jammed", "people had to wait", "a locksmith was called"),
)
ASIDES = (
    "It was a cloudy day.",
    "The coffee machine had been repaired the week before.",
    "A visitor asked for the way to the station.",
    "The radio was on.",
)


def make_row(chance: random.Random) -> dict:
    (fault, effect, remedy), place = chance.choice(FAULTS), chance.choice(PLACES)
    hour, hours = chance.randint(6, 11), chance.randint(2, 6)
    report = (
        f"{chance.choice(ASIDES)} At {hour} o'clock {fault} in the {place}. Soon {effect}. "
        f"{chance.choice(ASIDES)} The staff reported it at once, and {remedy}. "
        f"After {hours} hours the {place} was open again."
    )
    return {"messages": [{"role": "user", "content": f"{REQUEST}\n\n{report}"}]}


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    chance = random.Random(11)
    seen: dict[str, dict] = {}
    while len(seen) < count + max(8, count // 8):
        row = make_row(chance)
        seen.setdefault(row["messages"][0]["content"], row)
    rows = list(seen.values())
    for name, part in (("train", rows[:count]), ("validation", rows[count:])):
        Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part), encoding="utf-8")
        print(f"{name}.jsonl: {len(part)} rows")


if __name__ == "__main__":
    main()
