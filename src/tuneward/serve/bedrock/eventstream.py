"""Frames of `application/vnd.amazon.eventstream`, in which AWS's clients read streams.

A frame is: its length, the length of its headers, a checksum of both (4 bytes each, big endian), the headers, the
payload, and a checksum of everything before. A header is: length of its name (1 byte), name, type (1 byte; 7 is a
string), length of its value (2 bytes), value. Source: Bedrock RFT contract, 8.8.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Mapping

from tuneward.serve.aws_errors import AwsError
from tuneward.types import Json

MEDIA_TYPE = "application/vnd.amazon.eventstream"
_STRING = 7
_KNOWN = {
    "InternalServerException",
    "ModelStreamErrorException",
    "ServiceUnavailableException",
    "ThrottlingException",
    "ValidationException",
}


def event(kind: str, payload: Json) -> bytes:
    """One event, such as `contentBlockDelta`, with a payload of JSON."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, _json(payload))


def chunk(value: Json) -> bytes:
    """A piece of an answer in a model's native form: base64 within JSON."""
    return event("chunk", {"bytes": base64.b64encode(_json(value)).decode()})


def exception(error: AwsError, *, also: frozenset[str] = frozenset()) -> bytes:
    """A failure after the stream began; what the stream has no word for is a ModelStreamErrorException.

    Args:
        error: the failure.
        also: names of exceptions that this stream knows besides the usual ones.
    """
    kind = error.kind
    payload: dict[str, Json] = {"message": error.message}
    if kind not in _KNOWN | also:
        kind = "ModelStreamErrorException"
        payload |= {"originalStatusCode": error.status, "originalMessage": f"{error.kind}: {error.message}"}
    name = kind[0].lower() + kind[1:]
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, _json(payload))


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """A frame with headers of text."""
    head = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return body + struct.pack(">I", zlib.crc32(body))


def _header(name: bytes, value: bytes) -> bytes:
    return struct.pack(">B", len(name)) + name + struct.pack(">BH", _STRING, len(value)) + value


def _json(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
