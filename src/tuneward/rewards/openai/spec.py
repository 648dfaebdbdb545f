"""The graders of the OpenAI API as it takes them. Source: OpenAI grader contract, 5.3 to 5.8."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    field_validator,
    model_validator,
)

from tuneward.rewards.openai.formula import Formula
from tuneward.rewards.openai.source import check_source
from tuneward.rewards.openai.template import parse_template

Metric: TypeAlias = Literal[
    "fuzzy_match", "bleu", "gleu", "meteor", "cosine",
    "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l",
]  # fmt: skip


def _check_template(text: str) -> str:
    parse_template(text)
    return text


TemplateText = Annotated[str, AfterValidator(_check_template)]
"""Text with `{{ item.path }}` and `{{ sample.path }}`."""


Name = Annotated[str, Field(min_length=1)]


class Spec(BaseModel):
    """What all graders have in common. Types are taken as they are: "1" is no number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    pass_threshold: float | None = None
    """Reward from which an answer counts as passed, reported as the metric `passed`; never changes the reward, and
    graders inside `multi` do not use it."""


class StringCheck(Spec):
    """1 when two texts compare as asked, else 0."""

    type: Literal["string_check"]
    name: Name
    input: TemplateText
    reference: TemplateText
    operation: Annotated[
        Literal["eq", "ne", "like", "ilike"], BeforeValidator(lambda value: "ne" if value == "neq" else value)
    ]
    """`like`: the input contains the reference; `ilike`: whatever the case. `neq` is read as `ne`."""


class TextSimilarity(Spec):
    """How alike two texts are, 0 to 1."""

    type: Literal["text_similarity"]
    name: Name
    input: TemplateText
    reference: TemplateText
    evaluation_metric: Metric


class TextPart(BaseModel):
    """A piece of a judge's message."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    type: Literal["input_text", "output_text"]
    text: TemplateText


TEXT_PARTS = TypeAdapter(list[TextPart])


class JudgeMessage(BaseModel):
    """One message to a judge."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    role: Literal["user", "assistant", "system", "developer"]
    type: Literal["message"] | None = None
    content: str | TextPart | list[TextPart]
    """A template, or parts with one each."""

    @field_validator("content", mode="before")
    @classmethod
    def _check_content(cls, content: Any) -> Any:
        """Check it here rather than as a union, whose errors would name every form that it does not have."""
        if isinstance(content, str):
            return _check_template(content)
        if not isinstance(content, dict | list):
            raise ValueError("expected a string, a text part, or an array of text parts")
        for part in content if isinstance(content, list) else [content]:
            kind = part.get("type") if isinstance(part, dict) else None
            if kind in ("input_image", "input_audio"):
                raise ValueError(f"parts of type {kind} cannot be judged here; write text")
        if isinstance(content, dict):
            return TextPart.model_validate(content)
        return TEXT_PARTS.validate_python(content)

    @property
    def text(self) -> str:
        """The template of the whole message."""
        if isinstance(self.content, str):
            return self.content
        parts = self.content if isinstance(self.content, list) else [self.content]
        return "\n".join(part.text for part in parts)


class SamplingParams(BaseModel):
    """How a judge's answer is sampled."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    seed: int | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    max_completions_tokens: int | None = Field(None, ge=1)
    """The API's own spelling."""
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    """Marks a judge that reasons, which is then sent no temperature unless one is given."""


class ModelSpec(Spec):
    """A grader that asks a judge."""

    name: Name
    model: str = Field(min_length=1)
    input: list[JudgeMessage] = Field(min_length=1)
    sampling_params: SamplingParams | None = None


class ScoreModel(ModelSpec):
    """A judge that gives a number."""

    type: Literal["score_model"]
    range: list[float] = Field(default=[0.0, 1.0], min_length=2, max_length=2)
    """Lowest and highest number; others are cut to it."""

    @field_validator("range", mode="before")
    @classmethod
    def _range_or_default(cls, value: Any) -> Any:
        return [0.0, 1.0] if value is None else value

    @field_validator("range")
    @classmethod
    def _in_order(cls, value: list[float]) -> list[float]:
        if value[0] >= value[1]:
            raise ValueError("the first number must be below the second")
        return value


class LabelModel(ModelSpec):
    """A judge that gives a class; 1 when it is one of those that pass, else 0."""

    type: Literal["label_model"]
    labels: list[str] = Field(min_length=1)
    passing_labels: list[str] = Field(min_length=1)

    @field_validator("labels")
    @classmethod
    def _distinct(cls, labels: list[str]) -> list[str]:
        if len(set(labels)) < len(labels):
            raise ValueError("a label stands there twice")
        return labels

    @model_validator(mode="after")
    def _subset(self) -> Self:
        for label in self.passing_labels:
            if label not in self.labels:
                raise ValueError(f'passing_labels: "{label}" is not one of labels')
        return self


class PythonGrader(Spec):
    """A function `grade(sample, item)` that gives a number."""

    type: Literal["python"]
    name: Name
    source: Annotated[str, AfterValidator(check_source)]
    image_tag: str | None = None
    """Taken and not used: the function runs with what is installed here."""


PartSpec: TypeAlias = StringCheck | TextSimilarity | ScoreModel | LabelModel | PythonGrader


class MultiGrader(Spec):
    """Several graders and a formula over their rewards."""

    type: Literal["multi"]
    name: Name
    graders: dict[str, PartSpec] = Field(min_length=1)
    calculate_output: str

    @model_validator(mode="after")
    def _formula_fits(self) -> Self:
        try:
            unknown = [name for name in Formula(self.calculate_output).names if name not in self.graders]
        except ValueError as error:
            raise ValueError(f"calculate_output cannot be read: {error}") from None
        if unknown:
            raise ValueError(f'calculate_output: "{unknown[0]}" is not a grader; there are {", ".join(self.graders)}')
        return self


GraderSpec: TypeAlias = PartSpec | MultiGrader
