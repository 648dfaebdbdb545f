"""The server's log: text for people or JSON lines for machines, and in neither a secret."""

from __future__ import annotations

import json
import logging
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal, TextIO

LogFormat = Literal["text", "json"]
ACCESS = "tuneward.access"
REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Of the request that this code works for."""

_SECRETS = re.compile(
    r"(tw-|bedrock-api-key-|sk-)[A-Za-z0-9_\-+/=]{8,}"
    r"|(?i:(bearer\s+))[^\s'\",;]+"
    r"|(?i:((?:x-amz-)?signature=))[0-9a-f]{16,}"
    r"|(?i:(://[^/\s:@]+:))[^@\s/]+(?=@)"
)
"""Keys, bearer headers, signatures, passwords in URLs. The group that matched is what stays readable."""


def configure(log_format: LogFormat = "text", stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send what Tuneward and uvicorn log to stderr, or to `stream`; calling it again replaces what was there."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json() if log_format == "json" else _Text())
    for name in ("tuneward", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level if name == "tuneward" else logging.WARNING)
        logger.propagate = False


def without_secrets(text: str) -> str:
    """The same text with keys and signatures masked."""
    return _SECRETS.sub(lambda found: next((group for group in found.groups() if group), "") + "***", text)


class _Json(logging.Formatter):
    """One object a line: time, level, logger, message, request_id, and what the record brings."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": REQUEST_ID.get(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return without_secrets(json.dumps({key: value for key, value in line.items() if value is not None}))


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        fields = {"request_id": REQUEST_ID.get(), **getattr(record, "fields", {})}
        told = " ".join(f"{key}={value}" for key, value in fields.items() if value is not None)
        # Line ends inside of a message would let a caller write lines of the log.
        text = super().format(record)
        first, *rest = text.split("\n")
        return without_secrets("\n    ".join([f"{first} {told}".rstrip(), *rest]))
