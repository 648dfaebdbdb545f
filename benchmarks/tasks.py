"""What is trained in the benchmarks: the demo's task, and GSM8K with short and with long prompts."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

from tuneward.demo import demo_paths

ROOT = Path(__file__).resolve().parent.parent
GSM8K = ROOT.parent / "shared" / "data" / "gsm8k"
"""Where GSM8K's train.jsonl and test.jsonl are looked for."""
GSM8K_REWARD = ROOT / "benchmarks" / "gsm8k_reward.py"
GSM8K_ROWS = 64
INSTRUCTION = "Solve the problem step by step. End with #### and the number."


@dataclass(frozen=True)
class Task:
    """What both sides train."""

    model: str
    train: str
    validation: str
    reward: str
    threads: int
    prompts_per_step: int = 8
    samples_per_prompt: int = 8
    max_prompt_tokens: int = 1024
    max_completion_tokens: int = 48
    learning_rate: float = 3e-4
    lora_r: int = 16
    lora_alpha: float = 32.0
    eval_rows: int = 64
    trl_micro_batch: int | None = None
    """Completions per micro-batch of TRL; None is a whole group."""


def demo_task(model: str, threads: int) -> Task:
    """The demo's files and numbers."""
    paths = demo_paths()
    return Task(model, str(paths.train), str(paths.validation), str(paths.reward), threads)


def gsm8k_task(model: str, threads: int, folder: Path, source: Path = GSM8K, *, context_characters: int = 0) -> Task:
    """GSM8K problems with answers of up to 128 tokens.

    Args:
        model: folder of the model.
        threads: of both sides.
        folder: the rows are written here.
        source: folder with GSM8K's train.jsonl and test.jsonl.
        context_characters: solved problems are put before each prompt until they are this long. Every prompt gets
            others, so that prompts share nothing but the instruction.
    """
    solved = [json.loads(line) for line in (source / "train.jsonl").read_text(encoding="utf-8").splitlines()]
    asked = [json.loads(line) for line in (source / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    chance = random.Random(0)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, problems in (("train", asked[:GSM8K_ROWS]), ("validation", asked[GSM8K_ROWS : 2 * GSM8K_ROWS])):
        rows = []
        for problem in problems:
            examples = ""
            while len(examples) < context_characters:
                example = chance.choice(solved)
                examples += f"Problem: {example['question']}\nSolution: {example['answer']}\n\n"
            prompt = f"{INSTRUCTION}\n\n{examples}Problem: {problem['question']}\nSolution:"
            answer = problem["answer"].rpartition("####")[2].strip()
            rows.append(json.dumps({"messages": [{"role": "user", "content": prompt}], "reference_answer": answer}))
        files.append(folder / f"{name}.jsonl")
        files[-1].write_text("\n".join(rows) + "\n", encoding="utf-8")
    return Task(
        model, str(files[0]), str(files[1]), str(GSM8K_REWARD), threads,
        max_prompt_tokens=2048, max_completion_tokens=128,
        # A group of long sequences at once is more than TRL can hold in 24 GiB.
        trl_micro_batch=2 if context_characters else None,
    )  # fmt: skip
