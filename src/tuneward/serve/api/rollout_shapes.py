"""What `/api/jobs/{job_id}/rollouts` answers."""

from __future__ import annotations

from typing import Any

from tuneward.serve.api.model import ApiModel


class RolloutStep(ApiModel):
    """What the groups of a step were like."""

    step: int
    """0: what the base model answered when it was checked for signal before training."""
    groups: int
    samples: int
    reward_mean: float | None
    """Null when nothing could be scored."""
    reward_min: float | None
    reward_max: float | None
    mixed: int
    """Groups with differing rewards: those that teach something."""
    truncated: int
    """Groups with completions that hit the length limit."""
    failed: int
    """Groups with samples that the grader failed on."""


class RolloutSteps(ApiModel):
    """Steps in order."""

    data: list[RolloutStep]
    count: int
    """All there are, those left out included."""


class ShownStep(RolloutStep):
    """A step and its neighbours."""

    previous: int | None
    next: int | None


class GroupCard(ApiModel):
    """The completions of one prompt in one step."""

    step: int
    row: str
    """Id of the row."""
    line: int
    """Of the row in its file; 0: it came from no file."""
    preview: str
    """Beginning of what is asked."""
    samples: int
    reward_mean: float | None
    reward_std: float | None
    """Sample standard deviation; null for fewer than two rewards."""
    reward_min: float | None
    reward_max: float | None
    rewards: list[float | None]
    """Of each sample; null where there is none."""
    is_mixed: bool
    """The rewards differ, so the group teaches something."""
    truncated: int
    """Completions that hit the length limit."""
    failed: int
    """Samples that the grader failed on."""
    tokens: int
    """Sampled, of all completions together."""


class RolloutPage(ApiModel):
    """Groups of a step."""

    step: ShownStep | None
    """Null: the job has no rollouts yet, or keeps none."""
    data: list[GroupCard]
    next: int | None
    """Give it as `after` for the next page; null on the last."""


class Asked(ApiModel):
    """The row that a group answers."""

    messages: list[dict[str, Any]]
    reference_answer: Any
    metadata: dict[str, Any]
    tools: list[dict[str, Any]]


class ShownReceipt(ApiModel):
    """What happened in the grader call that scored a sample."""

    grader: str
    """Name and content hash."""
    verdict: str
    """`ok`, `error`, `timeout`, `oom` or `invalid`."""
    message: str
    """What went wrong; empty when nothing did."""
    attempts: int
    wall_s: float | None
    """Wall-clock seconds of the call."""
    cpu_s: float | None
    peak_memory_bytes: int
    stdout_tail: str
    stderr_tail: str
    limits: dict[str, float | None]
    isolation: str


class ShortSample(ApiModel):
    """One completion and its reward."""

    text: str
    tokens: int
    """Sampled, the one that ended it included."""
    finish_reason: str
    """`stop`, or `length` for a truncated one."""
    reward: float | None
    """Null when the grader failed."""


class ShownSample(ShortSample):
    """One completion with everything known of it."""

    index: int
    """In its group, from 0."""
    end: str
    """The token that ended it; empty when none did."""
    logprob: float | None
    """Sum of the sampler's log-probs, nats."""
    entropy: float | None
    """Mean of the sampler's distributions, nats per token; null when not known."""
    advantage: float | None
    """How much better than its group; null at step 0, where nothing was learned."""
    metrics: dict[str, float | None]
    """Whatever the reward itself measured."""
    components: list[str]
    """Names in `metrics` that are parts of the reward."""
    details: dict[str, Any]
    """What this kind of grader adds, such as a judge's reasons."""
    receipt: ShownReceipt
    pieces: list[str] | None = None
    """What each token wrote; joined, they are the text. Null unless asked for."""
    logprobs: list[float] | None = None
    """Of each token by the sampler, nats, to about three digits. Null unless asked for."""


class Group(GroupCard):
    """A group and a page of its samples."""

    prompt: Asked
    data: list[ShownSample]
    next: int | None
    """Give it as `after` for further samples; null when there are no more."""


class HistoryEntry(GroupCard):
    """A row's group in one step."""

    best: ShortSample | None
    """The sample with the highest reward; null when nothing was scored."""
    worst: ShortSample | None


class History(ApiModel):
    """A row's groups, step by step."""

    data: list[HistoryEntry]
    next: int | None
    """Give it as `after` for later steps; null when there are none."""
