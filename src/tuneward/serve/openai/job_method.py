"""A job's method as it is read back, and its hyperparameters in words. Source: OpenAI RFT contract, 3.5."""

from __future__ import annotations

from typing import Any

from tuneward.jobs.spec import JobSpec
from tuneward.serve.openai.job_defaults import GROUP, LEARNING_RATE
from tuneward.types import Json

SUPERVISED = ("n_epochs", "batch_size", "learning_rate_multiplier")
REINFORCEMENT = (*SUPERVISED, "eval_interval", "eval_samples", "compute_multiplier")


def method_body(spec: JobSpec, request: dict[str, Json], *, is_resolved: bool) -> dict[str, Json]:
    """`method` of a job.

    Args:
        spec: of the job.
        request: the body it was created with, when that was in this dialect; otherwise empty.
        is_resolved: show numbers where `auto` was asked for.
    """
    sent = (request.get("method") or {}).get(spec.method) or {}
    asked = _asked(spec, request)
    hyperparameters = resolved(spec) if is_resolved else dict.fromkeys(resolved(spec), "auto")
    hyperparameters |= {name: value for name, value in asked.items() if value is not None and value != "auto"}
    if spec.method == "supervised":
        return {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}}
    hyperparameters["reasoning_effort"] = asked.get("reasoning_effort") or "default"
    return {
        "type": "reinforcement",
        "reinforcement": {
            "grader": sent.get("grader") or grader_of(spec.config.get("reward", {})),
            "hyperparameters": hyperparameters,
            "response_format": sent.get("response_format"),
        },
    }


def resolved(spec: JobSpec) -> dict[str, Json]:
    """The hyperparameters that a job runs with."""
    training, evaluation = spec.config.get("training", {}), spec.config.get("evaluation", {})
    numbers = {
        "n_epochs": training.get("epochs"),
        "learning_rate_multiplier": _ratio(training.get("learning_rate"), LEARNING_RATE),
    }
    if spec.method == "supervised":
        numbers["batch_size"] = training.get("rows_per_step")
    else:
        numbers |= {
            "batch_size": training.get("prompts_per_step"),
            "eval_interval": evaluation.get("every_steps"),
            "eval_samples": evaluation.get("samples_per_prompt"),
            "compute_multiplier": _ratio(training.get("samples_per_prompt"), GROUP),
        }
    names = SUPERVISED if spec.method == "supervised" else REINFORCEMENT
    return {name: "auto" if numbers[name] is None else numbers[name] for name in names}


def resolved_line(spec: JobSpec) -> str:
    """What became of the hyperparameters, for an event."""
    training, evaluation = spec.config["training"], spec.config["evaluation"]
    parts = [f"{training['epochs']} epochs"]
    if spec.method == "supervised":
        parts.append(f"{training['rows_per_step']} rows a step")
    else:
        parts.append(f"{training['prompts_per_step']} prompts a step")
        parts.append(f"{training.get('samples_per_prompt')} samples a prompt")
        parts.append(f"at most {training.get('max_completion_tokens')} tokens an answer")
        parts.append(f"validation every {evaluation['every_steps']} steps")
    parts.append(f"learning rate {training['learning_rate']:g}")
    return f"Hyperparameters: {', '.join(parts)}, seed {spec.config['run']['seed']}"


def grader_of(reward: dict[str, Any]) -> dict[str, Json]:
    """The grader of a job that was created through another API."""
    if reward.get("function"):
        return {"type": "lambda", "lambda": {"function": reward["function"]}}
    if isinstance(reward.get("openai"), dict):
        return dict(reward["openai"])
    return {"type": "tuneward", "reward": reward} if reward else {}


def _asked(spec: JobSpec, request: dict[str, Json]) -> dict[str, Json]:
    inner = (request.get("method") or {}).get(spec.method) or {}
    top = request.get("hyperparameters") if spec.method == "supervised" else None
    return inner.get("hyperparameters") or top or {}


def _ratio(value: float | None, base: float) -> float | None:
    return None if value is None else float(f"{value / base:.6g}")
