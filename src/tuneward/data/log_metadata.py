"""What callers wrote on their logged calls: which metadata keys and values occur, to build a filter from."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tuneward.data.log_lines import LogReport, log_lines
from tuneward.data.metadata_filters import Filters, keeps
from tuneward.data.objects import ObjectStore
from tuneward.data.problems import Findings
from tuneward.data.strict_json import decode_object

MAX_KEYS = 50
MAX_VALUES = 1_000
"""Different values of one key that are counted; an id that each call has anew is no use as a filter."""
SHOWN_VALUES = 50
MAX_LENGTH = 256
"""Longest key or value that is told, in characters. Source: Amazon Bedrock's limit of request metadata."""


@dataclass(slots=True)
class MetadataKey:
    """One key of the metadata."""

    calls: int = 0
    """Calls that have it."""
    values: Counter[str] = field(default_factory=Counter)
    """Value → calls, of the first values that occurred."""
    has_more: bool = False
    """There are further values."""

    def most_common(self) -> list[tuple[str, int]]:
        """The commonest values with their calls."""
        return heapq.nsmallest(SHOWN_VALUES, self.values.items(), key=lambda item: (-item[1], item[0]))


@dataclass(slots=True)
class LogMetadata:
    """Counts of the logged calls under a prefix."""

    report: LogReport = field(default_factory=LogReport)
    calls: int = 0
    """Records of model calls."""
    matching: int = 0
    """Those that the filters keep."""
    keys: dict[str, MetadataKey] = field(default_factory=dict)
    has_more_keys: bool = False


def read_log_metadata(
    objects: ObjectStore, uri: str, filters: Filters | None, stop: Callable[[LogReport], bool] = lambda _: False
) -> LogMetadata:
    """Count the calls, and the keys and values of their metadata; memory does not grow with the logs.

    Args:
        objects: where the logs are.
        uri: prefix that they are under.
        filters: decide what `matching` counts; keys and values are those of all calls.
        stop: is asked before each record whether to leave the rest unread.

    Raises:
        DataError: the storage refuses.
    """
    found = LogMetadata()
    for line in log_lines(objects, uri, found.report, stop):
        record = decode_object(line, Findings("", 0))
        if record is None or record.get("schemaType") != "ModelInvocationLog":
            continue
        metadata = record.get("requestMetadata")
        found.calls += 1
        found.matching += keeps(filters, metadata)
        for key, value in metadata.items() if isinstance(metadata, dict) else ():
            if isinstance(value, str) and len(key) <= MAX_LENGTH and len(value) <= MAX_LENGTH:
                _count(found, key, value)
    return found


def _count(found: LogMetadata, key: str, value: str) -> None:
    if key not in found.keys and len(found.keys) >= MAX_KEYS:
        found.has_more_keys = True
        return
    entry = found.keys.setdefault(key, MetadataKey())
    entry.calls += 1
    if value in entry.values or len(entry.values) < MAX_VALUES:
        entry.values[value] += 1
    else:
        entry.has_more = True
