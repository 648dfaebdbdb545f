"""Writing what somebody else may be writing in the same moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import IntegrityError

T = TypeVar("T")


def again_after_rival(write: Callable[[], T]) -> T:
    """Run a transaction that looks whether something is there before it makes it.

    Two that run at once may both find nothing, and the database then refuses the second one. Run again, that one finds
    what the first has made, and answers accordingly.
    """
    try:
        return write()
    except IntegrityError:
        return write()
