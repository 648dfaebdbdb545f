"""The reward: who scores, within which limits, how scores are put together, and what happens when scoring fails."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from tuneward.config.section import INPUT_FILE, InputFile, Positive, Section

GRADER_KINDS = ("file", "template", "function", "endpoint", "openai", "judge")
"""Keys of `GraderConfig` that name a grader; exactly one is given."""

PART_NAME = re.compile(r"[A-Za-z0-9_-]+")
RESERVED_PARTS = ("gated", "length_penalty")
"""Metrics that a composition itself reports beside those of its parts."""

MAX_RUBRIC = 50_000
"""Characters of a rubric that stands in the configuration itself."""


class EndpointConfig(Section):
    """An HTTP address that answers the event of a reward function with its scores."""

    url: str = Field(pattern=r"^https?://")
    """Where the event is posted as JSON."""
    secret_variable: str | None = None
    """Environment variable with the key of the HMAC-SHA256 signature; None: not signed."""
    header_variables: dict[str, str] = Field(default_factory=dict)
    """Header → environment variable that holds its value, so that no secret stands in a file."""
    allow_private: bool = False
    """Allow addresses of this machine and of private networks."""
    concurrency: Positive = 8
    """Requests under way at the same time."""


class ConnectionConfig(Section):
    """How judge models are reached."""

    provider: Literal["openai", "bedrock"] = "openai"
    """`openai`: any server with `/chat/completions`, Tuneward's own included; `bedrock`: Converse of Amazon Bedrock."""
    url: str | None = Field(None, pattern=r"^https?://")
    """Base address, such as `http://127.0.0.1:8080/v1`; None: `OPENAI_BASE_URL`, or the provider's own."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the key of the `openai` provider."""
    region: str | None = None
    """AWS region; None: as boto3 finds it."""
    models: dict[str, str] = Field(default_factory=dict)
    """Model name in a grader → name at the address, for graders written for other services; `*` is any other name."""
    concurrency: Positive = 64
    """Calls under way at the same time."""
    timeout_s: float = Field(120.0, gt=0)
    """Wall-clock limit of one call."""
    retries: int = Field(4, ge=0, le=10)
    """Further tries after a refusal for load or a failure of the server."""
    prompt_price: float = Field(0.0, ge=0)
    """Price of a million prompt tokens, in a currency of your choice, for `judge_cost` in the metrics."""
    answer_price: float = Field(0.0, ge=0)
    """Price of a million tokens of judges' answers."""
    max_calls: Positive | None = None
    """Most calls of one run; then every further sample fails with this reason. None: no limit."""
    max_tokens: Positive | None = None
    """Most tokens of one run, prompts and answers together. None: no limit."""


class JudgeConfig(Section):
    """A model that judges completions by a rubric."""

    model: str
    """Name at the address of `connection`."""
    rubric: Annotated[str, INPUT_FILE] = "instruction_following"
    """A ready-made rubric (`tuneward rewards list`), or a Markdown file with one."""
    rubric_text: str | None = Field(None, max_length=MAX_RUBRIC)
    """A rubric itself, in the form of a Markdown file with one; counts in place of `rubric`."""
    scale: tuple[float, float] | None = None
    """Lowest and highest score of the judge, mapped to 0 and 1; None: as the rubric says. A rubric whose criteria make
    the reward only records this score."""
    variables: dict[str, str] = Field(default_factory=dict)
    """Variable of the rubric → field of the row, such as `context: metadata.article`."""
    votes: Positive = 1
    """Judgements per completion; their median counts. More than one is sampled at temperature 1."""
    max_tokens: Positive = 512
    """Length limit of one judgement."""
    cache: bool = True
    """Judge the same completion of the same prompt only once a run."""

    @field_validator("rubric")
    @classmethod
    def _name_or_file(cls, rubric: str) -> str:
        """A file ends with `.md`; a name has been taken for a file when it stood in a configuration file."""
        return rubric if rubric.endswith(".md") else Path(rubric).name


class GraderConfig(Section):
    """Who scores: one of `file`, `template`, `function`, `endpoint`, `openai`, `judge`, and the limits of a call."""

    file: InputFile | None = None
    """Python file with `lambda_handler(event, context)` in the batch form of the Bedrock contract, section 4."""
    handler: str = "lambda_handler"
    """Name of the function in the file."""
    template: str | None = None
    """A ready-made rule (`tuneward rewards list`), as it is; `tuneward rewards copy` makes it a file of your own."""
    function: str | None = None
    """A function registered with `tuneward functions` (`NAME` or `NAME:ALIAS`), or the ARN of one, here or on AWS."""
    endpoint: EndpointConfig | None = None
    """An HTTP address that scores."""
    openai: InputFile | dict[str, Any] | None = None
    """A grader object of the OpenAI API, here or as a JSON file."""
    judge: JudgeConfig | None = None
    """A model that judges by a rubric."""
    connection: ConnectionConfig = ConnectionConfig()
    """How the judge, and model graders in `openai`, reach their models."""
    timeout_s: float = Field(30.0, gt=0, le=900)
    """Wall-clock limit of one call, counted from when a worker starts on it."""
    memory_mb: int = Field(512, ge=64)
    """Memory limit of the reward process, MiB."""
    batch_size: Positive = 64
    """Samples sent in one call."""
    workers: Positive = 1
    """Reward processes at the same time, or calls of a function on AWS. Not given: 12 calls there, and as many
    processes of a function here as there are processors."""
    retries: int = Field(2, ge=0, le=10)
    """Further calls for samples whose call failed, before `on_failure` decides."""
    isolation: Literal["process", "sandbox"] | None = None
    """`sandbox` has no network, no secrets and a read-only system; `process` has its limits but your rights. None:
    `process` for your own `file` and for templates, `sandbox` for everything else that runs code."""
    reference_answer: Literal["raw", "text"] = "raw"
    """How a reference answer that is a string reaches functions: as it is, or as `{"text": …}`, which functions for
    Bedrock's open-weight models expect."""

    @property
    def kind(self) -> str:
        """Which of `GRADER_KINDS` is given; empty when none is."""
        return next((kind for kind in GRADER_KINDS if getattr(self, kind) is not None), "")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [kind for kind in GRADER_KINDS if getattr(self, kind) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other; name one grader, or combine them with compose")
        if not given and not self._may_do_without:
            raise ValueError(f"no grader is named; give one of {', '.join(GRADER_KINDS)}")
        return self

    @property
    def _may_do_without(self) -> bool:
        return False


class PartConfig(GraderConfig):
    """One grader of a composition."""

    weight: float = 1.0
    """Factor of this part's score in the sum; 0 only measures it."""
    gate: float | None = None
    """A score below this makes the whole reward `compose.gate_reward`; other parts are then not asked."""
    range: tuple[float, float] | None = None
    """Scores are cut to this range and mapped to 0 and 1 before they are weighed; None leaves them as they are."""

    @model_validator(mode="after")
    def _has_extent(self) -> Self:
        if self.range is not None and self.range[0] >= self.range[1]:
            raise ValueError(f"range {list(self.range)} must name its lower end first, and the two must differ")
        return self


class LengthPenaltyConfig(Section):
    """What long completions lose. Source: the soft overlong punishment of DAPO, arXiv 2503.14476, by characters."""

    free_characters: Positive
    """Up to here nothing is lost."""
    full_characters: Positive
    """From here on everything is lost; in between the loss grows evenly."""
    weight: float = Field(0.5, gt=0)
    """Most that is taken from the reward."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.full_characters <= self.free_characters:
            raise ValueError("full_characters must be more than free_characters")
        return self


class ComposeConfig(Section):
    """Several graders as one reward: gates first, then the weighted sum."""

    parts: dict[str, PartConfig] = Field(min_length=1)
    """Name → grader; the name also names its curve."""
    normalize: bool = False
    """Divide the sum by the sum of the weights."""
    gate_reward: float = 0.0
    """Reward of a completion that failed a gate, as it is: neither `length_penalty` nor `clip` touches it."""
    clip: tuple[float, float] | None = None
    """The reward is cut to this range at the end."""
    length_penalty: LengthPenaltyConfig | None = None
    """Taken off before the cut."""

    @model_validator(mode="after")
    def _makes_a_reward(self) -> Self:
        for name in self.parts:
            if not PART_NAME.fullmatch(name) or name in RESERVED_PARTS:
                raise ValueError(
                    f'parts: "{name}" cannot name a part; use letters, digits, _ and -, but none of '
                    f"{', '.join(RESERVED_PARTS)}"
                )
        weights = [part.weight for part in self.parts.values()]
        if not any(weights):
            raise ValueError("every part has weight 0, so there would be no reward; give one of them a weight")
        if self.normalize and sum(weights) <= 0:
            raise ValueError(f"normalize divides by the sum of the weights, which is {sum(weights):g}")
        if self.clip is not None and self.clip[0] >= self.clip[1]:
            raise ValueError(f"clip {list(self.clip)} must name its lower end first, and the two must differ")
        return self


class RewardConfig(GraderConfig):
    """The reward and what happens when it fails."""

    compose: ComposeConfig | None = None
    """Several graders in place of one."""
    held_out: GraderConfig | None = None
    """A second grader, measured beside the reward and never trained on: a reward that rises alone is being gamed."""
    on_failure: Literal["exclude", "zero", "fail"] = "exclude"
    """After all retries: `exclude` leaves the sample out of its group, `zero` gives it 0, `fail` stops the run."""
    check: bool = True
    """Test the reward on 16 training rows before the first step, as `tuneward rewards test` does on more."""
    error_budget: float = Field(0.1, ge=0, le=1)
    """Share of failed samples, over at least 50, above which the run stops with the reason."""

    @property
    def _may_do_without(self) -> bool:
        return self.compose is not None

    @model_validator(mode="after")
    def _compose_alone(self) -> Self:
        if self.compose is not None and self.kind:
            raise ValueError(f"{self.kind} and compose exclude each other; make it one of compose.parts")
        return self
