"""Logged model calls as training data: records under a prefix → rows. Source: Bedrock RFT contract, 3.7."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from tuneward.data.keys import digest
from tuneward.data.log_lines import LogReport, log_lines, unpacked
from tuneward.data.logged_bodies import UnusableError, answer_of, messages_of, tools_of
from tuneward.data.metadata_filters import Filters, keeps
from tuneward.data.objects import ObjectStore
from tuneward.data.problems import Findings
from tuneward.data.schema import parse_row
from tuneward.data.strict_json import decode_object
from tuneward.errors import DataError
from tuneward.types import Json

MAX_PROMPTS = 100_000
"""Different prompts that one conversion may give: more than a job may have, and few enough to remember."""

MAX_BODY_BYTES = 64 << 20
"""Largest body that lies in an object of its own, unpacked."""

FILTERED = "not what the filters ask for"
"""Reason for which a call is left out."""


class LogsSource(Protocol):
    """What to convert."""

    @property
    def uri(self) -> str:
        """Prefix that the logs are under."""
        ...

    @property
    def use_prompt_response(self) -> bool:
        """Keep the logged answers."""
        ...

    @property
    def filters(self) -> Filters | None: ...


def convert_logs(
    objects: ObjectStore,
    source: LogsSource,
    target: Path,
    *,
    supervised: bool,
    stop: Callable[[LogReport], bool] = lambda _: False,
) -> LogReport:
    """Write a row for each different prompt of the logged calls that count; memory does not grow with the logs.

    Args:
        objects: where the logs are.
        source: which.
        target: JSONL file to write.
        supervised: logged answers become the last message of their rows, else their `reference_answer`.
        stop: is asked before each record whether to leave the rest unread.

    Returns:
        What was read, kept and skipped, and why.

    Raises:
        DataError: the storage refuses, no row came out, or more than `MAX_PROMPTS`; answers are wanted for supervised
            training and the source does not keep them.
        OSError: the target cannot be written.
    """
    if supervised and not source.use_prompt_response:
        raise DataError(f"{source.uri}: supervised training needs the logged answers; set usePromptResponse to true.")
    converter = _Converter(objects, source, supervised)
    with target.open("wb") as file:
        for row in converter.rows(stop):
            file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
    report = converter.report
    if not report.kept:
        raise DataError(f"{source.uri}: no logged call there can be used ({report}).")
    return report


class _Converter:
    def __init__(self, objects: ObjectStore, source: LogsSource, supervised: bool):
        self.report = LogReport()
        self._objects = objects
        self._source = source
        self._supervised = supervised
        self._seen: set[bytes] = set()

    def rows(self, stop: Callable[[LogReport], bool]) -> Iterator[dict[str, Json]]:
        for line in log_lines(self._objects, self._source.uri, self.report, stop):
            try:
                yield self._row(line)
                self.report.kept += 1
            except UnusableError as error:
                self.report.skipped[str(error)] += 1

    def _row(self, line: bytes) -> dict[str, Json]:
        """Raises UnusableError, DataError."""
        record = decode_object(line, Findings("", 0))
        if record is None or record.get("schemaType") != "ModelInvocationLog":
            raise UnusableError("no log record")
        if not keeps(self._source.filters, record.get("requestMetadata")):
            raise UnusableError(FILTERED)
        if record.get("errorCode"):
            raise UnusableError("the call failed")
        request = self._body(record, "input")
        messages, tools = messages_of(request), tools_of(request)
        row: dict[str, Json] = {"messages": messages} | ({"tools": tools} if tools else {})
        if self._source.use_prompt_response:
            answer = answer_of(self._body(record, "output"))
            if self._supervised:
                row["messages"] = [*messages, {"role": "assistant", "content": answer}]
            else:
                row["reference_answer"] = answer
        if isinstance(record.get("requestMetadata"), dict) and record["requestMetadata"]:
            row["metadata"] = record["requestMetadata"]
        if parse_row(row, Findings("", 0)) is None:
            raise UnusableError("no usable prompt, such as one without text or without a user's message")
        prompt = digest([messages, tools])
        if prompt in self._seen:
            raise UnusableError("the same prompt came before")
        if len(self._seen) >= MAX_PROMPTS:
            raise DataError(
                f"{self._source.uri}: more than {MAX_PROMPTS:,} different prompts; narrow the prefix or the filters."
            )
        self._seen.add(prompt)
        return row

    def _body(self, record: dict[str, Json], side: str) -> Json:
        part = record.get(side)
        if not isinstance(part, dict):
            raise UnusableError(f"no {side} in it")
        uri = part.get(f"{side}BodyS3Path")
        if not isinstance(uri, str):
            return part.get(f"{side}BodyJson")
        # Whoever can write logs must not make the server read what they cannot.
        if uri.split("/")[:3] != self._source.uri.split("/")[:3]:
            raise UnusableError("its body lies in another bucket")
        with unpacked(self._objects.read(uri)) as file:
            try:
                content = file.read(MAX_BODY_BYTES + 1)
            except (EOFError, zlib.error, gzip.BadGzipFile):
                content = b""
        if len(content) > MAX_BODY_BYTES:
            raise UnusableError(f"its body is larger than {MAX_BODY_BYTES:,} bytes")
        # Bodies may be lists, of the pieces of a stream.
        whole = decode_object(b'{"body": ' + content + b"}", Findings("", 0))
        return None if whole is None else whole.get("body")
