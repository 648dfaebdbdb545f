"""Cursors of lists: opaque to callers, and good also after the entry that they name was deleted."""

from __future__ import annotations

import base64
import binascii
import math

from tuneward.jobs.models import Mark
from tuneward.jobs.problems import InvalidRequestError

LONGEST = 200
"""Characters of a cursor."""


def cursor_of(mark: Mark | None) -> str | None:
    """Where the next page begins, as callers get it; None when there is none."""
    if mark is None:
        return None
    return base64.urlsafe_b64encode(f"{mark.created_at!r}/{mark.id}".encode()).decode().rstrip("=")


def mark_of(cursor: str | None) -> Mark | None:
    """What `cursor_of` made it from. Raises InvalidRequestError for anything else."""
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        created_at, _, entry_id = base64.b64decode(padded, altchars=b"-_", validate=True).decode().partition("/")
        mark = Mark(float(created_at), entry_id)
    except (binascii.Error, ValueError):
        mark = Mark(math.nan, "")
    if not math.isfinite(mark.created_at) or not (mark.id.isascii() and mark.id.isprintable() and mark.id):
        raise InvalidRequestError("'after' is no cursor; take `next` of the page before.", param="after")
    return mark
