"""Which logged calls count, by the metadata that their callers gave. Source: Bedrock RFT contract, 3.7."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tuneward.types import Json


class Filters(Protocol):
    """One member is set. A pair is kept when it equals, or does not equal, what the call has under its key."""

    @property
    def equals(self) -> Mapping[str, str] | None: ...

    @property
    def not_equals(self) -> Mapping[str, str] | None: ...

    @property
    def and_all(self) -> Sequence[Mapping[Any, Mapping[str, str]]] | None:
        """Conditions of the form `{"equals": {key: value}}` or `{"not_equals": {key: value}}`."""
        ...

    @property
    def or_all(self) -> Sequence[Mapping[Any, Mapping[str, str]]] | None: ...


def keeps(filters: Filters | None, metadata: Json) -> bool:
    """Whether a call counts.

    Args:
        filters: None keeps every call.
        metadata: `requestMetadata` of the record; a call without any differs from every value.
    """
    if filters is None:
        return True
    had = metadata if isinstance(metadata, dict) else {}
    return (
        (filters.equals is None or _holds({"equals": filters.equals}, had))
        and (filters.not_equals is None or _holds({"not_equals": filters.not_equals}, had))
        and (filters.and_all is None or all(_holds(condition, had) for condition in filters.and_all))
        and (filters.or_all is None or any(_holds(condition, had) for condition in filters.or_all))
    )


def _holds(condition: Mapping[Any, Mapping[str, str]], had: Mapping[str, Json]) -> bool:
    equal = all(had.get(key) == value for key, value in condition.get("equals", {}).items())
    different = all(had.get(key) != value for key, value in condition.get("not_equals", {}).items())
    return equal and different
