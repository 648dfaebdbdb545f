"""TRL's side of the comparison: one GRPO training by a JSON specification, timings and scores as JSON.

Runs in its own environment (`.venv-trl`), so that neither side's dependencies bend the other's:

    .venv-trl/bin/python benchmarks/trl_side.py spec.json result.json

TRL is set up as a competent user would for a CPU, and where two settings give the same training the faster one is
taken: no gradient checkpointing, no reference model, plain float32, one generation batch per optimizer step.
The specification's keys are the fields of `Spec`; the result is described at `Recorder.result`.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Message = dict[str, Any]
Handler = Callable[[list[dict[str, Any]], Any], list[dict[str, Any]]]

VERSIONS_OF = ("torch", "transformers", "peft", "trl", "accelerate", "datasets")


@dataclass(frozen=True)
class Spec:
    """What to train. Both sides of the comparison get the same numbers."""

    model: str
    """Model folder."""
    train: str
    """JSONL file of chat rows: `messages`, `reference_answer`, and whatever else the reward function reads."""
    validation: str
    reward_file: str
    """Python file with `lambda_handler(event, context)`."""
    steps: int
    """Optimizer steps."""
    prompts_per_step: int = 8
    samples_per_prompt: int = 8
    max_completion_tokens: int = 48
    learning_rate: float = 3e-4
    lora_r: int = 16
    lora_alpha: float = 32
    seed: int = 0
    evaluate_every: int | None = None
    """Steps between evaluations; they also happen before the first and after the last step. None: never."""
    eval_max_rows: int = 64
    threads: int = 2
    """CPU threads of torch."""
    micro_batch: int | None = None
    """Completions per forward and backward pass; None: one group. It changes speed and memory only."""
    gradient_checkpointing: bool = False


class Reward:
    """The reward file's handler, called in this process, with rows in the batch form of a Lambda event."""

    def __init__(self, file: Path) -> None:
        module_spec = importlib.util.spec_from_file_location("benchmark_reward", file)
        if module_spec is None or module_spec.loader is None:
            raise SystemExit(f"{file}: not a Python file.")
        module = importlib.util.module_from_spec(module_spec)
        module_spec.loader.exec_module(module)
        self._handler: Handler = module.lambda_handler
        self._calls = 0

    def score(self, rows: list[dict[str, Any]], answers: list[str]) -> list[float]:
        """The `aggregate_reward_score` of each answer, in the order given."""
        self._calls += 1
        event = []
        for index, (row, answer) in enumerate(zip(rows, answers, strict=True)):
            reference = row.get("reference_answer")
            extra = {key: value for key, value in row.items() if key not in ("id", "messages", "metadata", "tools")}
            event.append(
                {
                    "id": f"{self._calls}/{index}",
                    "messages": [*row["messages"], {"role": "assistant", "content": answer}],
                    "reference_answer": reference,
                    "metadata": {**(row.get("metadata") or {}), **extra},
                }
            )
        scores = {entry["id"]: float(entry["aggregate_reward_score"]) for entry in self._handler(event, None)}
        return [scores[sample["id"]] for sample in event]

    def as_trl_function(self) -> Callable[..., list[float]]:
        def reward(completions: list[list[Message]], row: list[str], **_: Any) -> list[float]:
            return self.score([json.loads(text) for text in row], [turns[-1]["content"] for turns in completions])

        return reward


class Recorder:
    """What was measured. The file is written after every step, so a run that is cut short still tells something."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._steps: list[dict[str, Any]] = []
        self._evaluations: list[dict[str, Any]] = []
        self._training_seconds = 0.0
        self.generate_seconds = 0.0
        """Time in `generate` since the last step was recorded."""
        self._started = time.perf_counter()

    def start_clock(self) -> None:
        self._started = time.perf_counter()

    def step(self, logs: dict[str, Any]) -> None:
        """Record the optimizer step that has just ended; its clock has run since `start_clock`."""
        seconds = time.perf_counter() - self._started
        self._training_seconds += seconds
        self._steps.append(
            {
                "seconds": seconds,
                "seconds_generate": self.generate_seconds,
                "reward_mean": logs["reward"],
                "completion_length_mean": logs["completions/mean_length"],
                "truncated_share": logs["completions/clipped_ratio"],
                "loss": logs["loss"],
                "grad_norm": logs["grad_norm"],
            }
        )
        self.generate_seconds = 0.0
        self._save(f"step {len(self._steps)}: {seconds:.1f} s, reward {logs['reward']:.3f}")

    def evaluation(self, step: int, rewards: list[float], seconds: float) -> None:
        """Record an evaluation."""
        exact = sum(reward >= 1.0 for reward in rewards) / len(rewards)
        self._evaluations.append(
            {
                "step": step,
                "exact": exact,
                "reward_mean": sum(rewards) / len(rewards),
                "seconds": seconds,
                "elapsed_training_seconds": self._training_seconds,
            }
        )
        self.generate_seconds = 0.0
        self._save(f"evaluation after step {step}: exact {exact:.3f}")

    def was_evaluated_at(self, step: int) -> bool:
        return any(evaluation["step"] == step for evaluation in self._evaluations)

    def result(self) -> dict[str, Any]:
        """Steps and evaluations in order.

        A step's `seconds` are the wall clock from the end of the one before it (or of an evaluation in between), all
        phases included; `seconds_generate` is the part in `generate`. `elapsed_training_seconds` sums the steps
        before an evaluation and leaves evaluations out.
        """
        return {
            "steps": self._steps,
            "evaluations": self._evaluations,
            "peak_rss_bytes": peak_rss_bytes(),
            "versions": {
                "python": platform.python_version(),
                **{name: importlib.metadata.version(name) for name in VERSIONS_OF},
            },
        }

    def _save(self, line: str) -> None:
        print(line, flush=True)
        self._path.write_text(json.dumps(self.result(), indent=2) + "\n")


def peak_rss_bytes() -> int:
    """Highest resident memory of this process so far."""
    try:
        status = Path("/proc/self/status").read_text()
    except FileNotFoundError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    # getrusage would do elsewhere, but on Linux a child inherits in it the peak of the process that started it.
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    if len(sys.argv) != 3:
        raise SystemExit("usage: trl_side.py spec.json result.json")
    spec = Spec(**json.loads(Path(sys.argv[1]).read_text()))
    # These are read when torch and transformers are imported, hence the late imports in `train`.
    os.environ["OMP_NUM_THREADS"] = str(spec.threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["HF_HUB_OFFLINE"] = "1"
    train(spec, Recorder(Path(sys.argv[2])))


def train(spec: Spec, recorder: Recorder) -> None:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
    from transformers.utils import logging
    from trl import GRPOConfig, GRPOTrainer

    torch.set_num_threads(spec.threads)
    logging.disable_progress_bar()
    completions = spec.prompts_per_step * spec.samples_per_prompt
    micro_batch = spec.micro_batch or spec.samples_per_prompt
    if completions % micro_batch:
        raise SystemExit(f"micro_batch {micro_batch} does not divide the {completions} completions of a step.")

    reward = Reward(Path(spec.reward_file))
    rows = read_rows(Path(spec.train))
    validation = read_rows(Path(spec.validation))[: spec.eval_max_rows] if spec.evaluate_every else []
    # A row travels as one JSON string: Arrow columns need one type, and reference answers may have many.
    dataset = Dataset.from_list([{"prompt": row["messages"], "row": json.dumps(row)} for row in rows])
    tokenizer = AutoTokenizer.from_pretrained(spec.model, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(spec.model, dtype=torch.float32)

    class Measure(TrainerCallback):
        """Reads the clock at the end of each step and evaluates outside of it."""

        def on_train_begin(self, _args: Any, _state: Any, _control: Any, **_: Any) -> None:
            if validation:
                self._evaluate(0)
            recorder.start_clock()

        # The end of a step comes earlier, but TRL's figures for it are known only here.
        def on_log(self, _args: Any, state: Any, _control: Any, logs: dict[str, Any], **_: Any) -> None:
            if "reward" not in logs:
                return
            recorder.step(logs)
            if validation and state.global_step % spec.evaluate_every == 0:
                self._evaluate(state.global_step)
            recorder.start_clock()

        def on_train_end(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
            if validation and not recorder.was_evaluated_at(state.global_step):
                self._evaluate(state.global_step)

        def _evaluate(self, step: int) -> None:
            started = time.perf_counter()
            answers = greedy_answers(trainer.model, tokenizer, validation, spec.max_completion_tokens)
            rewards = reward.score(validation, answers)
            recorder.evaluation(step, rewards, time.perf_counter() - started)

    with tempfile.TemporaryDirectory() as scratch:
        trainer = GRPOTrainer(
            model=model,
            processing_class=tokenizer,
            reward_funcs=reward.as_trl_function(),
            train_dataset=dataset,
            callbacks=[Measure()],
            peft_config=LoraConfig(
                r=spec.lora_r, lora_alpha=spec.lora_alpha, lora_dropout=0.0, target_modules="all-linear"
            ),
            args=GRPOConfig(
                output_dir=scratch,
                seed=spec.seed,
                max_steps=spec.steps,
                per_device_train_batch_size=micro_batch,
                gradient_accumulation_steps=completions // micro_batch,
                num_generations=spec.samples_per_prompt,
                max_completion_length=spec.max_completion_tokens,
                temperature=1.0,
                loss_type="dapo",
                scale_rewards="group",
                beta=0.0,
                epsilon=0.2,
                epsilon_high=0.28,
                learning_rate=spec.learning_rate,
                lr_scheduler_type="constant",
                warmup_steps=0,
                adam_beta1=0.9,
                adam_beta2=0.95,
                weight_decay=0.0,
                max_grad_norm=1.0,
                use_cpu=True,
                bf16=False,
                activation_checkpointing=spec.gradient_checkpointing,
                dataloader_num_workers=0,
                dataloader_pin_memory=False,
                save_strategy="no",
                report_to="none",
                logging_steps=1,
                disable_tqdm=True,
            ),
        )
        trainer.remove_callback(PrinterCallback)
        time_calls_of_generate(trainer.model, recorder)
        trainer.train()


def time_calls_of_generate(model: Any, recorder: Recorder) -> None:
    generate = model.generate

    def timed(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return generate(*args, **kwargs)
        finally:
            recorder.generate_seconds += time.perf_counter() - started

    model.generate = timed


def greedy_answers(model: Any, tokenizer: Any, rows: list[dict[str, Any]], max_new_tokens: int) -> list[str]:
    """The most likely answer to each row, all rows in one left-padded batch."""
    import torch
    from transformers import GenerationConfig

    inputs = tokenizer.apply_chat_template(
        [row["messages"] for row in rows],
        add_generation_prompt=True,
        padding=True,
        padding_side="left",
        return_dict=True,
        return_tensors="pt",
    )
    settings = GenerationConfig(
        do_sample=False,
        max_new_tokens=max_new_tokens,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            tokens = model.generate(**inputs, generation_config=settings)
    finally:
        model.train(was_training)
    answers = tokens[:, inputs["input_ids"].shape[1] :]
    # What follows the end token is padding, which is that same token in some models; skipping special tokens drops it.
    return list(tokenizer.batch_decode(answers, skip_special_tokens=True))


def read_rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


if __name__ == "__main__":
    main()
