"""Tags. Source: Bedrock RFT contract, 8.6."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy.orm import Session

from tuneward.jobs.arns import resource_of
from tuneward.jobs.problems import ObjectNotFoundError
from tuneward.jobs.rivals import again_after_rival
from tuneward.jobs.tags import drop_tags, find_tagged, put_tags, tags_under
from tuneward.serve.aws_errors import AwsError
from tuneward.serve.bedrock.constraints import Member, Tag, TagKey, Tags, text
from tuneward.serve.bedrock.validation import AwsRoute, validation_exception
from tuneward.serve.deps import Developer, Use, Viewer
from tuneward.store.database import Database

routes = APIRouter(route_class=AwsRoute, tags=["bedrock"])

MOST_TAGS = 200
"""Of one resource. Source: Bedrock RFT contract, 11."""


class Resource(Member):
    resource_arn: Annotated[str, text(20, 1011, r"arn:aws(-[^:]+)?:bedrock:[^\x00]+"), Field(alias="resourceARN")]


class TagResource(Resource):
    tags: Tags


class UntagResource(Resource):
    tag_keys: Annotated[list[TagKey], Field(max_length=MOST_TAGS)]


@routes.post("/tagResource")
def tag(asked: TagResource, services: Use, caller: Developer) -> dict[str, str]:
    """TagResource."""
    given = check_tags(asked.tags)

    def work(session: Session) -> None:
        key = _key(session, caller.project_id, asked.resource_arn)
        if len(tags_under(session, key) | given) > MOST_TAGS:
            message = f"A resource can have at most {MOST_TAGS} tags."
            raise AwsError("TooManyTagsException", 400, message, extra={"resourceName": asked.resource_arn})
        put_tags(session, key, given)

    again_after_rival(lambda: services.database.write(work))
    return {}


@routes.post("/untagResource")
def untag(asked: UntagResource, services: Use, caller: Developer) -> dict[str, str]:
    """UntagResource."""

    def work(session: Session) -> None:
        drop_tags(session, _key(session, caller.project_id, asked.resource_arn), asked.tag_keys)

    services.database.write(work)
    return {}


@routes.post("/listTagsForResource")
def list_tags(asked: Resource, services: Use, caller: Viewer) -> dict[str, list[dict[str, str]]]:
    """ListTagsForResource."""
    found = services.database.read(
        lambda session: tags_under(session, _key(session, caller.project_id, asked.resource_arn))
    )
    return {"tags": [{"key": name, "value": value} for name, value in found.items()]}


def check_tags(tags: list[Tag]) -> dict[str, str]:
    """Tags by name. Raises AwsError for a name that is given twice."""
    named = {tag.key: tag.value for tag in tags}
    if len(named) != len(tags):
        raise validation_exception("Duplicate tag keys found; give each key once.")
    return named


def set_tags(database: Database, key: str, tags: list[Tag]) -> None:
    """Give tags to what has just been made. Raises AwsError for a name that is given twice."""
    if tags:
        given = check_tags(tags)
        again_after_rival(lambda: database.write(lambda session: put_tags(session, key, given)))


def _key(session: Session, project_id: str, arn: str) -> str:
    resource = resource_of(arn)
    if resource is None:
        raise ObjectNotFoundError(f"No resource {arn} here: tags are for jobs, custom models and their deployments.")
    return find_tagged(session, project_id, *resource)
