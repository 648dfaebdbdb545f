"""A step's result → the numbers of its record; names and meanings are listed in `records.py`."""

from __future__ import annotations

import math
import resource
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tuneward.engine.roofline import Roofline
from tuneward.engine.tree import build_tree
from tuneward.rewards.usage import total_usage
from tuneward.rl.rollout import Rollout
from tuneward.rl.step import StepResult
from tuneward.types import Score, Verdict


def step_record(
    result: StepResult, *, epoch: float, exact_threshold: float, seconds: float, roofline: Roofline | None = None
) -> dict[str, Any]:
    """The record of a training step; what depends on the clock stands under `timing`."""
    rollout, update = result.rollout, result.update
    scored = [score.reward for score in rollout.all_scores if score.is_scored]
    record: dict[str, Any] = {"kind": "step", "step": result.step, "epoch": epoch}
    record |= reward_numbers(scored, exact_threshold, with_range=True)
    record |= component_means(rollout.all_scores)
    record |= fault_shares(rollout.all_scores)
    record |= rollout_numbers(rollout)
    record |= {
        "zero_signal_share": result.signal.zero_signal_groups / max(1, result.signal.groups),
        "advantage_abs_mean": float(result.signal.advantages.abs().mean()),
        **verdict_counts(rollout.all_scores),
        **usage_numbers(rollout.all_scores),
        "trained_tokens": update.tokens,
        "learning_rate": result.learning_rate,
    }
    if update.tokens:
        record |= {
            "loss": update.loss,
            "clip_share": update.clipped / update.tokens,
            "mismatch_mean": update.mismatch_sum / update.tokens,
            "mismatch_max": update.mismatch_max,
            "mismatch_exp": update.mismatch_exp_sum / update.tokens,
        }
        if update.masked is not None:
            record["mismatch_masked_share"] = update.masked / len(result.signal.trainable)
        if update.grad_norm is not None:
            record["grad_norm"] = update.grad_norm
        if update.kl_sum is not None:
            record["kl_ref"] = update.kl_sum / update.tokens
    if update.skipped:
        record["skipped"] = update.skipped
    record = {
        name: value for name, value in record.items() if not (isinstance(value, float) and not math.isfinite(value))
    }
    record["timing"] = {
        "seconds_rollout": rollout.seconds_sampling,
        "seconds_reward": rollout.seconds_waiting,
        "seconds_update": result.seconds_update,
        "seconds_step": seconds,
        "tokens_per_second": record["completion_tokens"] / seconds,
        **latency_numbers(rollout.all_scores),
        **(bound_fractions(result, roofline, seconds) if roofline else {}),
        "rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    return record


def bound_fractions(result: StepResult, roofline: Roofline, seconds: float) -> dict[str, float]:
    """Share of the machine's best that each phase and the whole step reached."""
    groups = [(g.prompt.token_ids, [c.token_ids for c in g.completions]) for g in result.rollout.groups]
    rollout = roofline.rollout_seconds(groups)
    update = roofline.update_seconds([(i.prompt_ids, i.completion.token_ids) for i in result.signal.trainable])
    fractions = {
        "bound_fraction": (rollout + update) / seconds,
        "bound_fraction_rollout": rollout / result.rollout.seconds_sampling,
    }
    if update and result.seconds_update:
        fractions["bound_fraction_update"] = update / result.seconds_update
    return fractions


def reward_numbers(rewards: Sequence[float], exact_threshold: float, *, with_range: bool = False) -> dict[str, float]:
    """Mean, spread and exact success of scored rewards; empty when there are none."""
    if not rewards:
        return {}
    values = np.asarray(rewards, dtype=np.float64)
    numbers = {
        "reward_mean": float(values.mean()),
        "reward_std": float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        "exact": float((values >= exact_threshold).mean()),
    }
    return numbers | ({"reward_min": float(values.min()), "reward_max": float(values.max())} if with_range else {})


def component_means(scores: Sequence[Score]) -> dict[str, float]:
    """Mean of each named metric the grader gave, as `metric/<name>`."""
    values: dict[str, list[float]] = {}
    for score in scores:
        for name, value in score.metrics.items():
            values.setdefault(f"metric/{name}", []).append(value)
    return {name: float(np.mean(column)) for name, column in sorted(values.items())}


def fault_shares(scores: Sequence[Score]) -> dict[str, float]:
    """Share of samples with each fault that graders of the OpenAI API flag; faults that did not occur are absent."""
    counts: Counter[str] = Counter()
    for score in scores:
        raised = _flags(score.details.get("errors", {}))
        for part, errors in score.details.get("part_errors", {}).items():
            counts.update(f"fault/{part}/{kind}" for kind in _flags(errors))
            raised -= _flags(errors)
        counts.update(f"fault/{kind}" for kind in raised)
    return {name: count / len(scores) for name, count in sorted(counts.items())}


def _flags(errors: Mapping[str, Any]) -> set[str]:
    return {kind for kind, value in errors.items() if value is True}


def verdict_counts(scores: Sequence[Score]) -> dict[str, int]:
    """Samples by how the grader's call for them ended, and all failures together."""
    verdicts = [score.receipt.verdict for score in scores]
    counts = {f"verdict_{verdict}": verdicts.count(verdict) for verdict in Verdict}
    return {"grader_errors": len(verdicts) - counts["verdict_ok"], **counts}


def usage_numbers(scores: Sequence[Score]) -> dict[str, float]:
    """Calls, tokens and cost of judge models; empty when none was asked."""
    return {f"judge_{name}": count for name, count in total_usage(scores).items()}


def held_out_numbers(scores: Sequence[Score]) -> dict[str, float]:
    """What the held-out grader found; its mean is absent when it could score nothing."""
    if not scores:
        return {}
    values = [score.reward for score in scores if not score.is_failed]
    numbers: dict[str, float] = {"held_out_samples": len(values), "held_out_errors": len(scores) - len(values)}
    if values:
        numbers["held_out"] = float(np.mean(values))
        numbers["held_out_std"] = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return numbers


def add_usage(record: dict[str, Any], scores: Sequence[Score]) -> None:
    """Add the calls and tokens of further scores to those a record already has."""
    for name, count in usage_numbers(scores).items():
        record[name] = record.get(name, 0) + count


def rollout_numbers(rollout: Rollout) -> dict[str, float]:
    """Lengths, truncation, entropy and token counts of sampled groups."""
    completions = [completion for group in rollout.groups for completion in group.completions]
    lengths = np.array([len(completion.token_ids) for completion in completions])
    entropies = np.concatenate([completion.entropies for completion in completions])
    distinct = sum(len(build_tree([c.token_ids for c in group.completions])) for group in rollout.groups)
    return {
        **({"entropy": float(entropies.mean())} if len(entropies) else {}),
        "completion_length_mean": float(lengths.mean()),
        "completion_length_p95": float(np.quantile(lengths, 0.95)),
        "completion_length_max": int(lengths.max()),
        "truncated_share": float(np.mean([completion.is_truncated for completion in completions])),
        "prompt_tokens": sum(len(group.prompt.token_ids) for group in rollout.groups),
        "completion_tokens": int(lengths.sum()),
        "distinct_tokens": distinct,
    }


def latency_numbers(scores: Sequence[Score]) -> dict[str, float]:
    """Median and 95th percentile of grader calls, ms."""
    walls = np.array([score.receipt.wall_s for score in scores]) * 1000
    if not len(walls):
        return {}
    return {
        "reward_latency_p50_ms": float(np.quantile(walls, 0.5)),
        "reward_latency_p95_ms": float(np.quantile(walls, 0.95)),
    }
