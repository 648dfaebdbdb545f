"""What callers asked models and what models answered, in the form of Bedrock's invocation logs.

Source: Bedrock RFT contract, 3.7 (log record) and 8.5.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType

from tuneward.accounts.principal import Principal
from tuneward.engine.serving.request import Done
from tuneward.errors import TunewardError
from tuneward.serve.errors import as_aws_error
from tuneward.types import Json

_log = logging.getLogger(__name__)

HUNG_UP = "ClientClosedRequest"
"""`errorCode` of a call whose caller did not wait for the answer; AWS has no name for it."""


METADATA_HEADER = "x-amzn-bedrock-request-metadata"
LONGEST_METADATA = 8500
_TEXT = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}")


def checked_metadata(pairs: Mapping[str, str]) -> Mapping[str, str]:
    """Raises ValueError for metadata that breaks the rules."""
    if not 1 <= len(pairs) <= 16:
        raise ValueError(f"has {len(pairs)} entries; expected 1 to 16")
    for key, value in pairs.items():
        if not key or not _TEXT.fullmatch(key) or not _TEXT.fullmatch(value):
            raise ValueError(f"{key[:40]!r}: keys and values have at most 256 letters, digits, spaces and :_@$#=/+,.-")
    return pairs


def metadata_header(headers: Mapping[str, str]) -> Mapping[str, str] | None:
    """The caller's metadata in the header that InvokeModel has for it. Raises ValueError."""
    text = headers.get(METADATA_HEADER)
    if text is None:
        return None
    try:
        pairs = json.loads(text) if len(text) <= LONGEST_METADATA else None
    except (ValueError, RecursionError):
        pairs = None
    if not isinstance(pairs, dict) or not all(isinstance(value, str) for value in pairs.values()):
        raise ValueError(f"is not a JSON object of texts with at most {LONGEST_METADATA} characters")
    return checked_metadata(pairs)


def metadata_of(headers: Mapping[str, str], member: Json) -> Mapping[str, str] | None:
    """Metadata of a dialect that has other rules: its own member, else the header; what is not right is left out."""
    try:
        if isinstance(member, dict) and all(isinstance(value, str) for value in member.values()):
            return checked_metadata(member)
        return metadata_header(headers)
    except ValueError:
        return None


@dataclass(slots=True)
class Invocation:
    """One call of a model; a context manager that ends when the answer is known.

    Leaving it with an exception notes the failure; leaving it without an answer means that the caller has gone.
    """

    principal: Principal
    request_id: str
    operation: str
    """`Converse`, `ConverseStream`, `InvokeModel`, `InvokeModelWithResponseStream`, `ChatCompletion`, `Completion`,
    `Response`."""
    model_id: str
    """As the caller named it."""
    input: Json
    """The body as it came."""
    input_bytes: int
    metadata: Mapping[str, str] | None
    deliver: Callable[[Invocation], None] = field(repr=False)
    """Gets it once it has ended; never waits or raises."""
    at: float = field(default_factory=time.time)
    usage: Done | None = None
    output: Json = None
    output_bytes: int = 0
    """About: the text of the answer."""
    error_code: str | None = None
    _is_over: bool = False

    def answered(self, output: Json, usage: Done) -> None:
        """The model has answered.

        Args:
            output: the whole answer, in the form in which the caller gets it.
            usage: of tokens.
        """
        # Four bytes a token is about what text takes; an exact number would cost writing it out here.
        self.output, self.usage, self.output_bytes = output, usage, 4 * usage.completion_tokens
        self._finish()

    def failed(self, error: BaseException) -> None:
        """It has not, for this reason."""
        self.error_code = as_aws_error(error).kind if isinstance(error, Exception) else HUNG_UP
        if self.error_code == "InternalServerException" and not isinstance(error, TunewardError):
            _log.error("%s failed (%s)", self.operation, self.request_id, exc_info=error)
        self._finish()

    def __enter__(self) -> Invocation:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.failed(error)
        elif not self._is_over:
            self.error_code = HUNG_UP
            self._finish()

    def _finish(self) -> None:
        if not self._is_over:
            self._is_over = True
            self.deliver(self)

    @property
    def bytes(self) -> int:
        """About what it takes in memory."""
        return self.input_bytes + self.output_bytes + 2000

    @property
    def hour(self) -> str:
        """`YYYY/MM/DD/HH`, UTC."""
        return f"{datetime.fromtimestamp(self.at, UTC):%Y/%m/%d/%H}"

    def record(self, region: str) -> dict[str, Json]:
        """The log record, with both bodies in it."""
        made: dict[str, Json] = {
            "schemaType": "ModelInvocationLog",
            "schemaVersion": "1.0",
            "timestamp": f"{datetime.fromtimestamp(self.at, UTC):%Y-%m-%dT%H:%M:%SZ}",
            "accountId": self.principal.account_id,
            "identity": {"arn": f"arn:aws:iam::{self.principal.account_id}:user/{self.principal.key_id}"},
            "region": region,
            "requestId": self.request_id,
            "operation": self.operation,
            "modelId": self.model_id,
        }
        if self.metadata:
            made["requestMetadata"] = dict(self.metadata)
        if self.error_code is not None:
            made["errorCode"] = self.error_code
        made["input"] = {"inputContentType": "application/json", "inputBodyJson": self.input}
        if self.usage is not None:
            made["input"] |= {
                "inputTokenCount": self.usage.prompt_tokens,
                "cacheReadInputTokenCount": self.usage.cached_tokens,
                "cacheWriteInputTokenCount": 0,
            }
            made["output"] = {
                "outputContentType": "application/json",
                "outputBodyJson": self.output,
                "outputTokenCount": self.usage.completion_tokens,
            }
        return made
