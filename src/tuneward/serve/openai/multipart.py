"""A multipart form with one file in it, read as it arrives: any order of parts, any length, nothing held in memory.

Source: OpenAI RFT contract, 2.1: some clients send the file before the fields that say what it is, in chunks and
without a length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from tuneward.serve.errors import ApiError

BATCH_BYTES = 1 << 20
"""How much of the file is gathered before it is written in one go."""

MOST_FIELDS = 16
LARGEST_FIELD_BYTES = 64 << 10


@dataclass(slots=True)
class Form:
    """What came beside the content of the file."""

    fields: dict[str, str] = field(default_factory=dict)
    filename: str | None = None
    """Empty when the file has no name; None when no file came."""


async def read_form(request: Request, file_field: str, write: Callable[[bytes], None]) -> Form:
    """Read a form.

    Args:
        request: its body has not been touched.
        file_field: name of the part that is the file.
        write: takes the content in pieces, in a thread.

    Raises:
        ApiError: 400, the body is no such form, or breaks off.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise _malformed("send it as multipart/form-data with a boundary")
    reader = _Reader(file_field)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": reader.begin_part,
                "on_header_field": reader.header_name,
                "on_header_value": reader.header_value,
                "on_header_end": reader.end_header,
                "on_headers_finished": reader.end_headers,
                "on_part_data": reader.data,
                "on_part_end": reader.end_part,
                "on_end": reader.end,
            },
        )
        async for chunk in request.stream():
            parser.write(chunk)
            if len(reader.content) >= BATCH_BYTES:
                await run_in_threadpool(write, reader.take())
    except FormParserError:
        raise _malformed("its parts cannot be told apart") from None
    except ClientDisconnect:
        raise _malformed("it broke off") from None
    if not reader.is_ended:
        raise _malformed("it broke off before its closing boundary")
    if reader.content:
        await run_in_threadpool(write, reader.take())
    return reader.form


class _Reader:
    """Takes the parser's events, one part after the other."""

    def __init__(self, file_field: str):
        self.form = Form()
        self.content = bytearray()
        self.is_ended = False
        self._file_field = file_field
        self._headers: dict[bytes, bytes] = {}
        self._header_name = b""
        self._header_value = b""
        self._name = ""
        self._value = bytearray()

    def take(self) -> bytes:
        """What came of the file since the last call."""
        taken = bytes(self.content)
        self.content.clear()
        return taken

    def begin_part(self) -> None:
        self._headers = {}
        self._value = bytearray()

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def end_header(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def end_headers(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"").decode("latin-1")
        _, options = parse_options_header(disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        is_known = self._name in self.form.fields or (self._name == self._file_field and self.form.filename is not None)
        if not self._name or is_known:
            raise _malformed(f'"{self._name[:60]}" comes twice' if self._name else "a part has no name")
        if len(self.form.fields) >= MOST_FIELDS:
            raise _malformed(f"it has more than {MOST_FIELDS} fields")
        if self._name == self._file_field:
            self.form.filename = options.get(b"filename", b"").decode("utf-8", "replace")

    def data(self, data: bytes, start: int, end: int) -> None:
        if self._name == self._file_field:
            self.content += memoryview(data)[start:end]
            return
        self._value += data[start:end]
        if len(self._value) > LARGEST_FIELD_BYTES:
            raise _malformed(f'"{self._name[:60]}" has more than {LARGEST_FIELD_BYTES:,} bytes')

    def end_part(self) -> None:
        if self._name != self._file_field:
            self.form.fields[self._name] = self._value.decode("utf-8", "replace")

    def end(self) -> None:
        self.is_ended = True


def _malformed(reason: str) -> ApiError:
    return ApiError(400, f"The body is not a form that can be read: {reason}.", code="invalid_form")
