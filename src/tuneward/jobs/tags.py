"""Tags of jobs, models and deployments.

They are kept under the kind and the id of a resource rather than its whole ARN, which tells region and account besides.
Tags for a model that a job is still to make are kept under the job; the model has them as soon as it is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from tuneward.jobs.arns import Resource
from tuneward.jobs.problems import ObjectNotFoundError
from tuneward.store.tables import Deployment, Job, Model, Tag


def tag_key(kind: Resource | Literal["model-of-job"], resource_id: str) -> str:
    """What a resource's tags are kept under."""
    return f"{kind}/{resource_id}"


def find_tagged(session: Session, project_id: str, kind: Resource, resource_id: str) -> str:
    """The tag key of a project's resource. Raises ObjectNotFoundError."""
    tables: dict[Resource, type[Job] | type[Model] | type[Deployment]] = {
        "model-customization-job": Job,
        "custom-model": Model,
        "custom-model-deployment": Deployment,
    }
    found = session.get(tables[kind], resource_id)
    if not isinstance(found, Job | Model | Deployment) or found.project_id != project_id:
        raise ObjectNotFoundError(f"No {kind} {resource_id} here.")
    if isinstance(found, Model) and found.job_id:
        return tag_key("model-of-job", found.job_id)
    return tag_key(kind, resource_id)


def tags_under(session: Session, key: str) -> dict[str, str]:
    """Tags by name."""
    query = select(Tag).where(Tag.arn == key).order_by(Tag.key)
    return {tag.key: tag.value for tag in session.scalars(query)}


def put_tags(session: Session, key: str, tags: Mapping[str, str]) -> None:
    """Add tags, or change those that are there."""
    for name, value in tags.items():
        session.merge(Tag(arn=key, key=name, value=value))


def drop_tags(session: Session, key: str, names: Iterable[str] | None = None) -> None:
    """Remove tags; names that are not there are passed over. None: all."""
    query = delete(Tag).where(Tag.arn == key)
    session.execute(query if names is None else query.where(Tag.key.in_(list(names))))
