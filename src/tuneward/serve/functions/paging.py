"""Lists in pages: a marker says where the next one begins."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from fastapi import Query

from tuneward.serve.aws_errors import AwsError

T = TypeVar("T")

LARGEST_PAGE = 50
"""AWS's own, whatever `MaxItems` says."""

Marker = Annotated[str | None, Query(alias="Marker", max_length=1024)]
MaxItems = Annotated[int, Query(alias="MaxItems", ge=1, le=10_000)]


def page(
    items: Sequence[T], key: Callable[[T], tuple[str, int]], marker: str | None, most: int
) -> tuple[list[T], dict[str, str]]:
    """A part of the items, which are in the order of `key`, and `NextMarker` if there are more.

    A page begins after the last one's last item, whether that still exists or not. Raises AwsError.
    """
    begin = _decode(marker) if marker else None
    left = [item for item in items if begin is None or key(item) > begin]
    shown = left[: min(most, LARGEST_PAGE)]
    return shown, {"NextMarker": _encode(key(shown[-1]))} if len(shown) < len(left) else {}


def _encode(key: tuple[str, int]) -> str:
    return base64.urlsafe_b64encode(f"{key[0]} {key[1]}".encode()).decode()


def _decode(marker: str) -> tuple[str, int]:
    try:
        name, number = base64.urlsafe_b64decode(marker.encode()).decode().split(" ")
        return name, int(number)
    except (binascii.Error, ValueError):
        raise AwsError("InvalidParameterValueException", 400, "Marker is not one of a page before.") from None
