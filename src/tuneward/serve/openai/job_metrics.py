"""Numbers of a step under the names that both services document, made of our records.

A key whose number was not measured is null. Beside OpenAI's keys stand those of Bedrock's OpenAI-compatible door.

Sources: OpenAI RFT contract, 3.7 and 3.8; Bedrock RFT contract, 6.3.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from tuneward.jobs.grader_names import NamedGrader
from tuneward.jobs.result_csv import total_seconds, unresponsive_share
from tuneward.records import Record
from tuneward.serve.openai.job_faults import Split, fault_numbers, parse_error_share
from tuneward.types import Json

Method = Literal["reinforcement", "supervised"]


def step_data(
    method: Method,
    train: Record,
    valid: Record,
    *,
    step: int,
    total_steps: int | None,
    graders: Sequence[NamedGrader] = (),
    eval_samples: int = 1,
) -> dict[str, Json]:
    """`data` of a metrics event.

    Args:
        method: of the job.
        train: the step's record; empty before the first step.
        valid: the record of the evaluation after it; empty where there was none.
        step: counts from 1; 0 is the base model.
        total_steps: None while it is not known.
        graders: of the job.
        eval_samples: answers to each validation row.
    """
    head: dict[str, Json] = {"step": step, "total_steps": total_steps}
    if method == "supervised":
        return head | supervised_numbers(train, valid)
    trained = train.get("grader_errors", 0) + train.get("verdict_ok", 0)
    splits = Split("train", train, trained), Split("valid", valid, valid.get("rows", 0) * eval_samples)
    return head | _reinforcement(train, valid, splits, graders)


def checkpoint_data(method: Method, train: Record, valid: Record, *, step: int) -> dict[str, Json]:
    """`metrics` of a checkpoint."""
    if method == "supervised":
        return {"step": step} | supervised_numbers(train, valid)
    return {
        "step": step,
        "train_mean_reward": number(train, "reward_mean"),
        "full_valid_mean_reward": number(valid, "reward_mean"),
        "completion_tokens_mean": number(train, "completion_length_mean"),
    }


def step_message(method: Method, data: Mapping[str, Json]) -> str:
    """`message` of a metrics event, in the documented wording."""
    place = f"Step {data['step']}/{data['total_steps']}" if data["total_steps"] is not None else f"Step {data['step']}"
    if method == "supervised":
        parts = {"training loss": data["train_loss"], "validation loss": data["valid_loss"]}
        return f"{place}: {_listed(parts)}"
    parts = {
        "train mean reward": data["train_mean_reward"],
        "full validation mean reward": data["full_valid_mean_reward"],
        "full validation mean parse error": data["full_valid_mean_parse_error"],
    }
    return f"{place} , {_listed(parts)}"


def number(record: Mapping[str, Any], name: str) -> float | None:
    """A record's number; None when it was not measured."""
    value = record.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return value


def supervised_numbers(train: Record, valid: Record) -> dict[str, Json]:
    """Losses and accuracies of a supervised job."""
    loss, accuracy = number(valid, "loss"), number(valid, "token_accuracy")
    return {
        "train_loss": number(train, "loss"),
        "train_mean_token_accuracy": number(train, "token_accuracy"),
        "valid_loss": loss,
        "valid_mean_token_accuracy": accuracy,
        "full_valid_loss": loss,
        "full_valid_mean_token_accuracy": accuracy,
    }


def _reinforcement(
    train: Record, valid: Record, splits: Sequence[Split], graders: Sequence[NamedGrader]
) -> dict[str, Json]:
    return {
        "train_mean_reward": number(train, "reward_mean"),
        "full_valid_mean_reward": number(valid, "reward_mean"),
        "full_valid_mean_parse_error": parse_error_share(splits[1], graders),
        "reasoning_tokens_mean": None,
        "valid_reasoning_tokens_mean": None,
        "completion_tokens_mean": number(train, "completion_length_mean"),
        "valid_completion_tokens_mean": number(valid, "completion_length_mean"),
        "mean_unresponsive_rewards": unresponsive_share(train),
        "scores": _scores(splits, graders),
        "metrics": {split.name: _own_metrics(split.record) for split in splits},
        "errors": {"graders": fault_numbers(splits, graders)},
        "usage": {"graders": _usage(splits, graders), "samples": _samples(splits)},
        "timing": _timing(train, valid),
        "model_graders_token_usage": _tokens_by_model(train, valid, graders),
        "critic_rewards_mean": number(train, "reward_mean"),
        "actor_pg_loss": number(train, "loss"),
        "actor_entropy": number(train, "entropy"),
        "actor_grad_norm": number(train, "grad_norm"),
        "critic_advantages_mean": None,
        "response_length_mean": number(train, "completion_length_mean"),
    }


def _scores(splits: Sequence[Split], graders: Sequence[NamedGrader]) -> dict[str, Json]:
    return {
        **{f"{split.name}_reward_mean": number(split.record, "reward_mean") for split in splits},
        "graders": [
            {
                "name": grader.name,
                "type": grader.type,
                **{f"{split.name}_reward_mean": number(split.record, grader.metric) for split in splits},
            }
            for grader in graders
        ],
    }


def _own_metrics(record: Record) -> dict[str, Json]:
    """What the reward itself measures, by name."""
    return {name.removeprefix("metric/"): number(record, name) for name in record if name.startswith("metric/")}


def _usage(splits: Sequence[Split], graders: Sequence[NamedGrader]) -> list[Json]:
    """Tokens of graders that are models; of several, records only know the sum, so none is named then."""
    judges = [grader for grader in graders if grader.model]
    if len(judges) != 1:
        return []
    numbers: dict[str, Json] = {}
    for split in splits:
        calls = number(split.record, "judge_calls")
        for kind in ("prompt", "completion"):
            count = number(split.record, f"judge_{kind}_tokens")
            numbers[f"{split.name}_{kind}_tokens_count"] = count
            numbers[f"{split.name}_{kind}_tokens_mean"] = count / calls if count is not None and calls else None
    return [{"name": judges[0].name, "type": judges[0].type, "model": judges[0].model, **numbers}]


def _samples(splits: Sequence[Split]) -> dict[str, Json]:
    return {
        **{f"{split.name}_reasoning_tokens_{kind}": None for split in splits for kind in ("mean", "count")},
        **{f"{split.name}_completion_tokens_mean": number(split.record, "completion_length_mean") for split in splits},
        **{f"{split.name}_completion_tokens_count": number(split.record, "completion_tokens") for split in splits},
    }


def _timing(train: Record, valid: Record) -> dict[str, Json]:
    own = train.get("timing", {})
    step = {
        "eval": number(valid.get("timing", {}), "seconds"),
        "sampling": number(own, "seconds_rollout"),
        "training": number(own, "seconds_update"),
        "full_iteration": total_seconds(train, valid),
    }
    return {"step": step, "graders": []}


def _tokens_by_model(train: Record, valid: Record, graders: Sequence[NamedGrader]) -> dict[str, Json]:
    models = {grader.model for grader in graders if grader.model}
    if len(models) != 1:
        return {}
    return {
        str(models.pop()): {
            f"{split}_{kind}_tokens": number(record, f"judge_{kind}_tokens")
            for split, record in (("eval", valid), ("train", train))
            for kind in ("prompt", "completion", "cached")
        }
    }


def _listed(parts: Mapping[str, float | None]) -> str:
    shown: Iterable[str] = (f"{name}={value:.2f}" for name, value in parts.items() if value is not None)
    return ", ".join(shown) or "not measured"
