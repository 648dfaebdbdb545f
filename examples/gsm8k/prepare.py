"""Turn GSM8K's files into rows: `python prepare.py GSM8K/train.jsonl [ROWS]` writes train.jsonl and validation.jsonl.

Without a file it takes problems.jsonl beside it: a few problems of the same form, enough to see everything work.
"""

import json
import random
import sys
from pathlib import Path

HERE = Path(__file__).parent
INSTRUCTION = "Solve the problem step by step. Put the final number on the last line, after ####."
VALIDATION_SHARE = 0.2


def main() -> None:
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "problems.jsonl"
    most = int(sys.argv[2]) if len(sys.argv) > 2 else None
    problems = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()][:most]
    rows = [
        {
            "messages": [
                {"role": "system", "content": INSTRUCTION},
                {"role": "user", "content": problem["question"]},
            ],
            # The whole solution: the reward reads the number after #### and the intermediate results.
            "reference_answer": problem["answer"],
        }
        for problem in problems
    ]
    random.Random(0).shuffle(rows)
    held_out = max(1, round(VALIDATION_SHARE * len(rows)))
    for name, part in (("validation", rows[:held_out]), ("train", rows[held_out:])):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in part)
        Path(f"{name}.jsonl").write_text(text, encoding="utf-8")
        print(f"{name}.jsonl: {len(part)} rows")


if __name__ == "__main__":
    main()
