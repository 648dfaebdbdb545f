"""Lists in pages: opaque tokens, and times as AWS writes them. Source: Bedrock RFT contract, 8.0."""

from __future__ import annotations

import base64
import binascii
import math
import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from tuneward.jobs.models import Mark
from tuneward.serve.bedrock.constraints import MaxResults, PageToken, SortBy, SortOrder
from tuneward.serve.bedrock.validation import validation_exception

DEFAULT_PAGE = 100
"""Entries of a page when `maxResults` is not given."""


class ListQuery(BaseModel):
    """What every list takes."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True)

    name_contains: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^(?:[a-zA-Z0-9+\-._:]*)$")] | None = None
    max_results: MaxResults = DEFAULT_PAGE
    next_token: PageToken | None = None
    sort_by: SortBy = "CreationTime"
    sort_order: SortOrder = "Descending"

    @property
    def after(self) -> Mark | None:
        """The last entry of the page before. Raises AwsError for a token that no page gave."""
        if self.next_token is None:
            return None
        try:
            created_at, _, entry_id = (
                base64.b64decode(self.next_token, altchars=b"-_", validate=True).decode().partition("/")
            )
            mark = Mark(float(created_at), entry_id)
        except (binascii.Error, ValueError):
            mark = Mark(math.nan, "")
        if not (math.isfinite(mark.created_at) and re.fullmatch("[a-z0-9]{12}", mark.id)):
            raise validation_exception("The provided nextToken is not valid; take it from the page before.")
        return mark


def page(name: str, entries: list[dict[str, Any]], end: Mark | None) -> dict[str, Any]:
    """The answer to a list.

    Args:
        name: of the member that holds the entries.
        entries: of this page.
        end: where the page ends when there are more entries, else None.
    """
    if end is None:
        return {name: entries}
    token = base64.urlsafe_b64encode(f"{end.created_at!r}/{end.id}".encode()).decode()
    return {name: entries, "nextToken": token}


def seconds(moment: datetime | None) -> float | None:
    """A time of a query string, as seconds since 1970; UTC where it names no zone."""
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def timestamp(at: float) -> str:
    """A time as AWS writes it: `2026-01-01T00:00:00.250Z`."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def without_none(members: dict[str, Any]) -> dict[str, Any]:
    """Members that have a value; AWS leaves the others out."""
    return {name: value for name, value in members.items() if value is not None}
