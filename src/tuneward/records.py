"""The records a run writes, one JSON object a line in `metrics.jsonl`, and the meaning of each number.

A record is a flat dict: `kind`, `step`, then numbers by the names below. Whatever depends on the clock or the
machine stands in a nested dict `timing`, so that two runs of the same seed agree byte for byte outside it.
The one exception are the held-out numbers of steps: they stand in the first record after they came.
A number that was not measured is absent (never 0, never NaN). What the reward itself measures is `metric/NAME`.
Graders of the OpenAI API add the share of samples with each fault, `fault/KIND`, of a part `fault/PART/KIND`.

kind "step"        after each optimizer step; `step` counts from 1
kind "evaluation"  after each evaluation; `step` 0 is the base model before training
kind "preflight"   the check for signal before the first step
kind "warning"     `code`, `severity`, `message`: a diagnosis in words, at the step where it arose; `action`, where the
                   message ends with what to try
kind "event"       `code`, `message`: resumed, new_best, skipped_update, stopped
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

Record: TypeAlias = dict[str, Any]


class Metric(NamedTuple):
    """What a number in a record means."""

    name: str
    title: str
    unit: str
    meaning: str


STEP_METRICS = (
    Metric("epoch", "Epoch", "passes", "passes over the training rows so far, fractional"),
    Metric("reward_mean", "Training reward", "", "mean reward of the step's scored completions"),
    Metric("reward_std", "Reward spread", "", "sample standard deviation of those rewards"),
    Metric("reward_min", "Lowest reward", "", "lowest of those rewards"),
    Metric("reward_max", "Highest reward", "", "highest of those rewards"),
    Metric("exact", "Exact success", "share", "share of scored completions at or above the exact threshold"),
    Metric("loss", "Loss", "", "policy loss; about 0 on-policy, its value alone says little"),
    Metric("entropy", "Policy entropy", "nats/token", "mean entropy of the sampling distribution"),
    Metric("completion_length_mean", "Episode length", "tokens", "mean completion length"),
    Metric("completion_length_p95", "Episode length, p95", "tokens", "95th percentile of completion length"),
    Metric("completion_length_max", "Episode length, max", "tokens", "longest completion"),
    Metric("truncated_share", "Truncated", "share", "completions that hit the length limit"),
    Metric("zero_signal_share", "Zero-signal groups", "share", "groups whose rewards are all alike"),
    Metric("clip_share", "Clipped tokens", "share", "tokens whose ratio the loss clipped"),
    Metric("grad_norm", "Gradient norm", "", "global L2 norm before clipping"),
    Metric("learning_rate", "Learning rate", "", "AdamW step size used"),
    Metric("mismatch_mean", "Mismatch", "nats", "mean |policy log-prob - sampler log-prob| over trained tokens"),
    Metric("mismatch_max", "Mismatch, max", "nats", "largest of those differences"),
    Metric("mismatch_exp", "Mismatch, exp", "", "mean exp(|difference|); should stay below 1.02"),
    Metric("mismatch_masked_share", "Mismatch, masked", "share", "trained completions masked for their mismatch"),
    Metric("kl_ref", "KL to base", "nats/token", "k3 estimate on the step's tokens; only when beta > 0"),
    Metric("advantage_abs_mean", "Advantage size", "", "mean |advantage| over scored completions"),
    Metric("prompt_tokens", "Prompt tokens", "tokens", "prompt tokens, each prompt once"),
    Metric("completion_tokens", "Completion tokens", "tokens", "sampled tokens"),
    Metric("distinct_tokens", "Distinct tokens", "tokens", "sampled tokens with shared beginnings counted once"),
    Metric("trained_tokens", "Trained tokens", "tokens", "completion tokens of groups with signal"),
    Metric("grader_errors", "Grader failures", "samples", "samples whose scoring failed after retries"),
    Metric("verdict_ok", "Scored", "samples", "samples the grader scored"),
    Metric("verdict_error", "Grader errors", "samples", "samples on which the reward code raised or its process died"),
    Metric("verdict_timeout", "Grader timeouts", "samples", "samples that took too long"),
    Metric("verdict_oom", "Grader out of memory", "samples", "samples that hit the memory limit"),
    Metric("verdict_invalid", "Unusable answers", "samples", "samples answered without a usable score"),
)

TIMING_METRICS = (
    Metric("seconds_rollout", "Rollout", "s", "sampling"),
    Metric("seconds_reward", "Reward", "s", "waiting for the grader beyond sampling"),
    Metric("seconds_update", "Update", "s", "log-probs, gradients and the optimizer"),
    Metric("seconds_step", "Step", "s", "the whole step"),
    Metric("tokens_per_second", "Speed", "tokens/s", "sampled tokens per second of the whole step"),
    Metric("bound_fraction", "Of the bound", "share", "least time this machine could take over the time taken"),
    Metric("bound_fraction_rollout", "Of the bound, rollout", "share", "the same for sampling"),
    Metric("bound_fraction_update", "Of the bound, update", "share", "the same for the update; reused work can pass 1"),
    Metric("reward_latency_p50_ms", "Reward latency, p50", "ms", "median wall time of a grader call"),
    Metric("reward_latency_p95_ms", "Reward latency, p95", "ms", "95th percentile of the same"),
    Metric("eta_s", "Time left", "s", "median estimate"),
    Metric("eta_low_s", "Time left, low", "s", "lower end of an 80 % interval"),
    Metric("eta_high_s", "Time left, high", "s", "upper end of it"),
    Metric("rss_bytes", "Memory", "bytes", "peak resident memory of the training process"),
)
"""Found under `timing` in step records; evaluation records hold `seconds` there."""

FURTHER_METRICS = (
    Metric("held_out", "Held-out reward", "", "mean score of the held-out grader, which nothing is trained on"),
    Metric("held_out_std", "Held-out spread", "", "sample standard deviation of those scores"),
    Metric("held_out_samples", "Held-out samples", "samples", "samples the held-out grader scored"),
    Metric("held_out_errors", "Held-out failures", "samples", "samples it could not score"),
    Metric("judge_calls", "Judge calls", "calls", "calls to judge models, those of the held-out grader included"),
    Metric("judge_prompt_tokens", "Judge prompt tokens", "tokens", "tokens sent in those calls"),
    Metric("judge_completion_tokens", "Judge answer tokens", "tokens", "tokens of their answers"),
    Metric("judge_cost", "Judge cost", "", "price of those tokens, when `reward.connection` has prices"),
)
"""In step and evaluation records of runs with a held-out grader or a judge. In a step's record the held-out numbers are
those that have come since the record before: scored in the background, a few samples a step, so that no step waits."""

EVALUATION_METRICS = (
    Metric("reward_mean", "Validation reward", "", "mean reward on the validation rows"),
    Metric("reward_std", "Validation reward spread", "", "sample standard deviation"),
    Metric("exact", "Validation exact success", "share", "share of rows at or above the exact threshold"),
    Metric("completion_length_mean", "Validation episode length", "tokens", "mean completion length"),
    Metric("truncated_share", "Validation truncated", "share", "completions that hit the length limit"),
    Metric("kl_ref", "KL to base", "nats/token", "k3 estimate of policy against base on the sampled tokens"),
    Metric("entropy", "Validation entropy", "nats/token", "mean entropy of the policy at temperature 1"),
    Metric("rows", "Rows", "rows", "validation rows scored"),
    Metric("grader_errors", "Grader failures", "samples", "samples without a score"),
)

SUPERVISED_METRICS = (
    Metric("loss", "Loss", "nats/token", "mean negative log-likelihood of the learned tokens; a step's is before it"),
    Metric("token_accuracy", "Token accuracy", "share", "learned tokens that were the model's likeliest"),
)
"""In step and evaluation records of supervised runs, instead of whatever has to do with rewards and sampling."""


def metric_title(name: str) -> str:
    """What people call a number: a registered one's title, else its name in words.

    `metric/math/steps_right` is "math: steps right".
    """
    known = next((m.title for m in (*STEP_METRICS, *TIMING_METRICS, *FURTHER_METRICS) if m.name == name), None)
    return known or name.removeprefix("metric/").replace("/", ": ").replace("_", " ")


def reported_metrics(records: Iterable[Record]) -> list[str]:
    """Names of the numbers that rewards themselves report, in the order in which they first came; parts of a
    composition before the metrics of parts."""
    names = {name: None for record in records for name in record if name.startswith("metric/")}
    return sorted(names, key=lambda name: name.count("/") > 1)
