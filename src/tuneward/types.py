"""The vocabulary of Tuneward: small frozen values that flow from the dataset to the deployment.

    Row → Prompt → Completion, Group → Sample → Score (with Receipt) → advantage → update

Nothing here imports torch, so that validation, the API and `--help` start fast.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

Json: TypeAlias = Any
"""Any JSON value."""

Message: TypeAlias = Mapping[str, Json]
"""One chat message: `role`, `content` (a string after normalisation), and optional tool fields."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a dataset after validation. Source: Bedrock RFT contract, section 3.1."""

    id: str
    """The row's own `id`, else `row-<line number>`; unique within one file."""
    messages: tuple[Message, ...]
    """The prompt as chat messages; text parts are joined into one string each."""
    reference_answer: Json = None
    """Expected output or criteria as the row holds it; None when absent."""
    metadata: Mapping[str, Json] = field(default_factory=dict)
    """The row's own `metadata` merged with every extra field of the line (extras win)."""
    tools: tuple[Mapping[str, Json], ...] = ()
    """OpenAI function tools, passed to the chat template."""
    line: int = 0
    """1-based line in the file; 0 when the row does not come from a file."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A row rendered by the model's chat template, ready to sample from."""

    row: Row
    token_ids: tuple[int, ...]

    @property
    def id(self) -> str:
        """The row's id; it also names the group of this prompt's completions."""
        return self.row.id


class FinishReason(StrEnum):
    """Why sampling ended, recorded when it ended and never guessed from token ids later."""

    STOP = "stop"
    """The model produced a token of the stop set; that token is part of the completion."""
    LENGTH = "length"
    """`max_completion_tokens` was reached first: the completion is truncated."""


@dataclass(frozen=True, slots=True)
class Completion:
    """One sampled answer, token-in token-out."""

    index: int
    """Sample index within its group, from 0."""
    token_ids: tuple[int, ...]
    """Sampled tokens, the stop token included when there is one; never padded."""
    logprobs: tuple[float, ...]
    """Sampler log-prob of each token, nats, at the sampling temperature."""
    entropies: tuple[float, ...]
    """Entropy of the sampler's distribution at each token, nats, or an estimate of it; empty when not known."""
    text: str
    """Decoded tokens without the stop token."""
    finish_reason: FinishReason

    @property
    def is_truncated(self) -> bool:
        return self.finish_reason is FinishReason.LENGTH


@dataclass(frozen=True, slots=True)
class Group:
    """The completions of one prompt; the unit of the group-relative advantage."""

    prompt: Prompt
    completions: tuple[Completion, ...]

    @property
    def id(self) -> str:
        return self.prompt.id


@dataclass(frozen=True, slots=True)
class Sample:
    """What a grader sees: a row and one completion's text."""

    id: str
    """Unique within the run, whatever the row holds (for example `7/row-12/3`: step, row, index)."""
    row: Row
    completion: str


class Verdict(StrEnum):
    """How a grader call ended for one sample."""

    OK = "ok"
    ERROR = "error"
    """The reward code raised, or its process died."""
    TIMEOUT = "timeout"
    OOM = "oom"
    """The memory limit was hit."""
    INVALID = "invalid"
    """An answer came, but not a usable score for this sample (missing id, NaN, a string, …)."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of what happened in one grader call; samples of one call share it, verdict and message aside."""

    grader: str
    """Name and content hash of the grader, e.g. `reward.py@3f2a9c1b`."""
    verdict: Verdict
    message: str = ""
    """Empty when ok; otherwise one sentence: what went wrong and for which sample."""
    attempts: int = 1
    """Calls made for this sample, the last one included."""
    wall_s: float = 0.0
    """Wall-clock seconds of the last call, from the moment the worker started on it."""
    cpu_s: float = 0.0
    peak_memory_bytes: int = 0
    stdout_tail: str = ""
    stderr_tail: str = ""
    limits: Mapping[str, float] = field(default_factory=dict)
    """Limits the call ran under, such as `timeout_s` and `memory_mb`."""
    isolation: str = ""
    """`sandbox`; `process`, with the user's own rights; `not isolated`, where an operator allows a sandboxed program to
    run without; `remote`; empty when no code ran."""


@dataclass(frozen=True, slots=True)
class Score:
    """A grader's judgement of one sample. A grader's failure has reward NaN, never 0; only a run may turn it into 0."""

    sample_id: str
    reward: float
    """`aggregate_reward_score`; NaN when the grader failed."""
    receipt: Receipt
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Named components and measurements, all finite."""
    components: frozenset[str] = frozenset()
    """Names in `metrics` that are parts of the reward (`"type": "Reward"`)."""
    details: Mapping[str, Json] = field(default_factory=dict)
    """What this kind of grader adds for a reader: a judge's reasons, error flags, token usage."""

    @property
    def is_failed(self) -> bool:
        """The grader failed; what the sample gets then is the reward's `on_failure`."""
        return self.receipt.verdict is not Verdict.OK

    @property
    def is_scored(self) -> bool:
        """There is a reward to learn from."""
        return not math.isnan(self.reward)


class Grader(Protocol):
    """Anything that scores samples. Implementations are thread-safe and never raise for a sample's sake.

    `score` answers one Score per sample in the order given; failures are Scores with reward NaN and a
    receipt. GraderError is raised only when no sample could ever be scored (a missing handler, say).
    """

    @property
    def name(self) -> str:
        """Name and content hash, as in `Receipt.grader`."""
        ...

    def score(self, samples: list[Sample]) -> list[Score]: ...

    def close(self) -> None:
        """Release processes and files; safe to call twice."""
        ...
