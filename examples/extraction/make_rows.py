"""Write train.jsonl and validation.jsonl: `python make_rows.py [ROWS]`. Delivery notes, and the record of each."""

import json
import random
import sys
from pathlib import Path

SCHEMA = json.loads((Path(__file__).parent / "schema.json").read_text())
INSTRUCTION = "Read the delivery note and answer with one JSON object: item, quantity, city, is_urgent."
ITEMS = ("lamp", "teapot", "rug", "bicycle bell", "notebook", "garden chair", "kite", "mug", "backpack", "clock")
CITIES = ("Lisbon", "Oslo", "Nairobi", "Kyoto", "Quito", "Halifax", "Tartu", "Perth", "Cusco", "Izmir")
NOTES = (
    "Please send {quantity} x {item} to our shop in {city}. {urgency}",
    "For {city}: {item}, {quantity} pieces. {urgency}",
    "{urgency} The customer in {city} is waiting for {quantity} of the {item}.",
    "Order: {item}; number: {quantity}; to: {city}. {urgency}",
)
URGENT = ("It is urgent.", "Needed today.", "Express, please.")
CALM = ("No hurry.", "Next week will do.", "There is time.")


def make_row(chance: random.Random) -> dict:
    is_urgent = chance.random() < 0.5
    value = {
        "item": chance.choice(ITEMS),
        "quantity": chance.randint(1, 60),
        "city": chance.choice(CITIES),
        "is_urgent": is_urgent,
    }
    note = chance.choice(NOTES).format(**value, urgency=chance.choice(URGENT if is_urgent else CALM))
    return {
        "messages": [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": note}],
        "reference_answer": {"schema": SCHEMA, "value": value},
    }


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    chance = random.Random(7)
    seen: dict[str, dict] = {}
    while len(seen) < count + max(8, count // 8):  # no note is in both files
        row = make_row(chance)
        seen.setdefault(row["messages"][1]["content"], row)
    rows = list(seen.values())
    for name, part in (("train", rows[:count]), ("validation", rows[count:])):
        Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part), encoding="utf-8")
        print(f"{name}.jsonl: {len(part)} rows")


if __name__ == "__main__":
    main()
