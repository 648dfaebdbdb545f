"""`/api/reward-templates`, `/api/rubrics` and `/api/judges`: what a reward can be made of without writing it."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from tuneward.accounts.principal import Principal
from tuneward.rewards.functions.reference import LOCAL_ACCOUNT
from tuneward.rewards.judge.rubric import Rubric, ready_made_rubrics
from tuneward.rewards.templates import Template, ready_made_templates
from tuneward.serve.api.model import ApiModel
from tuneward.serve.deps import Use, Viewer

routes = APIRouter(prefix="/api")

NOBODY = Principal("", "", LOCAL_ACCOUNT, "viewer")
"""Judges call with a key of no project that has models: what they may use is what everybody may."""


class TemplateSetting(ApiModel):
    """A constant in a template's source that a copy may change."""

    name: str
    value: str
    meaning: str


class RewardTemplate(ApiModel):
    """A ready-made rule, used as `reward.template` or copied into a function of one's own."""

    name: str
    summary: str
    documentation: str
    """What it scores, which rows it expects, what it cannot see."""
    row_fields: list[str]
    """Fields that it looks for in rows and in their metadata."""
    settings: list[TemplateSetting]
    source: str
    """Python with `lambda_handler(event, context)`."""


class RewardTemplateList(ApiModel):
    """Templates by name."""

    data: list[RewardTemplate]


class RubricCriterion(ApiModel):
    """One thing that a judge decides."""

    name: str
    met: str
    weight: float
    is_essential: bool
    """A score from criteria is 0 when it is not met."""


class RubricCard(ApiModel):
    """A ready-made rubric, used as `reward.judge.rubric` or edited as `reward.judge.rubric_text`."""

    name: str
    summary: str
    row_format: str
    """What a row holds, for a reader."""
    variables: dict[str, str]
    """Variable of the text → what it is."""
    scale: tuple[float, float]
    score_from: Literal["judge", "criteria"]
    criteria: list[RubricCriterion]
    text: str
    """The whole Markdown, front matter included."""


class RubricList(ApiModel):
    """Rubrics by name."""

    data: list[RubricCard]


class JudgeModel(ApiModel):
    """A model that can be named as a judge."""

    name: str
    kind: Literal["base", "mapped"]
    """`base`: served here; `mapped`: a name that the operator's connection translates."""


class Judges(ApiModel):
    """Where judges find their models; addresses and keys are the operator's alone."""

    data: list[JudgeModel]
    place: Literal["this server", "another server", "Amazon Bedrock"]
    takes_any_name: bool
    """Names that are not listed are passed on as they are."""
    concurrency: int
    """Calls under way at the same time, of one job."""
    timeout_s: float


@routes.get("/reward-templates")
def list_templates(_caller: Viewer) -> RewardTemplateList:
    """The ready-made rules."""
    return RewardTemplateList(data=[_template(one) for one in ready_made_templates()])


@routes.get("/rubrics")
def list_rubrics(_caller: Viewer) -> RubricList:
    """The ready-made rubrics."""
    return RubricList(data=[_rubric(one) for one in ready_made_rubrics()])


@routes.get("/judges")
def list_judges(_caller: Viewer, services: Use) -> Judges:
    """Models that can judge here. Tuned models belong to their project, and graders have none."""
    connection = services.judges
    names = {name: "mapped" for name in connection.models if name != "*"}
    is_here = services.config.judges is None
    if is_here:
        names |= {card.id: "base" for card in services.catalog.cards(NOBODY)}
    elsewhere = "Amazon Bedrock" if connection.provider == "bedrock" else "another server"
    return Judges(
        data=[JudgeModel.model_validate({"name": name, "kind": kind}) for name, kind in names.items()],
        place="this server" if is_here else elsewhere,
        takes_any_name="*" in connection.models or not (is_here or connection.models),
        concurrency=connection.concurrency,
        timeout_s=connection.timeout_s,
    )


def _template(one: Template) -> RewardTemplate:
    return RewardTemplate(
        name=one.name,
        summary=one.description,
        documentation=one.documentation,
        row_fields=list(one.row_fields),
        settings=[TemplateSetting(name=s.name, value=s.value, meaning=s.meaning) for s in one.settings],
        source=one.source,
    )


def _rubric(one: Rubric) -> RubricCard:
    header = one.header
    return RubricCard(
        name=header.name,
        summary=header.description,
        row_format=header.row_format,
        variables=header.variables,
        scale=header.scale,
        score_from=header.score_from,
        criteria=[
            RubricCriterion(name=name, met=found.met, weight=found.weight, is_essential=found.is_essential)
            for name, found in header.criteria.items()
        ],
        text=one.source,
    )
