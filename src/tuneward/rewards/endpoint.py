"""Grader at an HTTP address: the event of a reward function is posted, its answer is the response.

Every request carries, when `secret_variable` is set,

    X-Tuneward-Timestamp: 1767225600
    X-Tuneward-Signature: v1=<hex>

where `<hex>` is the HMAC-SHA256, with the secret as key, of the timestamp, a full stop and the body as received. A
server computes the same, compares in constant time, and refuses timestamps more than a few minutes old:

    expected = hmac.new(key, timestamp.encode() + b"." + body, "sha256").hexdigest()
    hmac.compare_digest(f"v1={expected}", signature)

Status 429, 502, 503 and 504 and connections that cannot be made are repeated with growing pauses, at least
`Retry-After`. Other failures count as the function's own: the samples are sent again in smaller events, as
`reward.retries` allows. Redirects are not followed.

Source: Bedrock RFT contract, sections 1.8 (retries), 4.1 (event and answer), 4.3 (sizes).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from tuneward import __version__
from tuneward.config import GraderConfig
from tuneward.config.reward import EndpointConfig
from tuneward.errors import GraderError
from tuneward.rewards.addresses import AddressRefusedError, CheckedTransport, check_host
from tuneward.rewards.event_grader import EventGrader
from tuneward.rewards.process import Call
from tuneward.rewards.remote import (
    BACKOFF_S,
    FIRST_WAIT_S,
    PAYLOAD_LIMIT_BYTES,
    NoAnswer,
    RemoteCaller,
    failed,
)
from tuneward.types import Grader

TIMESTAMP_HEADER = "X-Tuneward-Timestamp"
SIGNATURE_HEADER = "X-Tuneward-Signature"

ANSWER_LIMIT_BYTES = 6 << 20
SHOWN_BYTES = 300
CONNECT_TIMEOUT_S = 10.0

REPEATED = frozenset({429, 502, 503, 504})
"""Status of servers that did not take the request up."""
HOPELESS = frozenset({401, 403, 404, 405, 407, 410, 421, 501})
"""Status that no other event would change."""

DROPPED_TRIES = 2
"""Of a request whose connection ended: once for a connection that had been idle too long, then it is the event."""

SETTING = "reward.endpoint"


def build_endpoint_grader(config: GraderConfig) -> Grader:
    """Grader for `reward.endpoint`.

    Raises:
        GraderError: a variable is missing, the host does not exist, or its address may not be reached.
    """
    assert config.endpoint is not None
    return EventGrader(
        EndpointCaller(config.endpoint, timeout_s=config.timeout_s),
        batch_size=config.batch_size,
        retries=config.retries,
        backoff_s=BACKOFF_S,
        reference_answer=config.reference_answer,
        event_limit_bytes=PAYLOAD_LIMIT_BYTES,
    )


def sign(key: bytes, timestamp: str, body: bytes) -> str:
    """Value of the signature header for a body sent at `timestamp` (seconds since 1970)."""
    return f"v1={hmac.new(key, timestamp.encode() + b'.' + body, hashlib.sha256).hexdigest()}"


class EndpointCaller(RemoteCaller):
    """A `Caller` of `event_grader.py` that posts events.

    Args:
        timeout_s: wall-clock limit of one request, from connecting to the last byte of the answer.
        first_wait_s: see `RemoteCaller`.

    Raises:
        GraderError: as `build_endpoint_grader`.
    """

    def __init__(self, config: EndpointConfig, *, timeout_s: float, first_wait_s: float = FIRST_WAIT_S) -> None:
        url = httpx.URL(config.url)
        if url.userinfo:
            raise GraderError(f"{SETTING}.url holds a password. Give it as a header through header_variables.")
        setting = f"{SETTING}.allow_private: true"
        try:
            check_host(
                url.host,
                url.port or (443 if url.scheme == "https" else 80),
                allow_private=config.allow_private,
                setting=setting,
            )
        except AddressRefusedError as error:
            raise GraderError(f"{SETTING}.url: {error}") from None
        self._url = url
        self._key = _variable(config.secret_variable, "secret_variable").encode() if config.secret_variable else None
        headers = {
            name: _variable(variable, f"header_variables.{name}") for name, variable in config.header_variables.items()
        }
        self._client = httpx.AsyncClient(
            transport=CheckedTransport(
                allow_private=config.allow_private,
                setting=setting,
                limits=httpx.Limits(max_connections=config.concurrency),
            ),
            # The deadline of the whole request is `RemoteCaller`'s.
            timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_S),
            headers={
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "identity",  # A few packed bytes must not become gigabytes here.
                "User-Agent": f"tuneward/{__version__}",
                **headers,
            },
            trust_env=False,
            follow_redirects=False,
        )
        shown = str(url.copy_with(query=None, fragment=None))
        super().__init__(shown, shown, timeout_s=timeout_s, concurrency=config.concurrency, first_wait_s=first_wait_s)

    async def _send(self, event: bytes) -> Call:
        headers = {}
        if self._key is not None:
            timestamp = str(int(time.time()))
            headers = {TIMESTAMP_HEADER: timestamp, SIGNATURE_HEADER: sign(self._key, timestamp, event)}
        try:
            async with self._client.stream("POST", self._url, content=event, headers=headers) as response:
                return await (_answer(response) if response.is_success else _failure(response))
        except AddressRefusedError as error:
            return failed("unreachable", error.what, error.advice)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise NoAnswer(f"no connection ({_reason(error)})") from None
        except httpx.TransportError as error:
            text = f"the connection ended before an answer came ({_reason(error)})"
            raise NoAnswer(text, kind="raised", tries=DROPPED_TRIES) from None

    async def _release(self) -> None:
        await self._client.aclose()


async def _answer(response: httpx.Response) -> Call:
    body = bytearray()
    if response.headers.get("Content-Encoding", "identity") != "identity":
        return failed("unreachable", "an answer that is packed, although that was not asked for")
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > ANSWER_LIMIT_BYTES:
            return failed("too_large", f"an answer of more than {ANSWER_LIMIT_BYTES >> 20} MiB", "Return scores only")
    return Call("answer", bytes(body))


async def _failure(response: httpx.Response) -> Call:
    """A call that failed for good, or with this event. Raises NoAnswer when the same request may fare better."""
    status = f"HTTP status {response.status_code}"
    if response.is_redirect:
        target = response.headers.get("Location", "nowhere")[:SHOWN_BYTES]
        return failed("unreachable", f"a redirect to {target}", f"Write the final address into {SETTING}.url")
    retry_after_s = _retry_after_s(response)
    if response.status_code in REPEATED or (response.is_server_error and retry_after_s):
        raise NoAnswer(status, retry_after_s=retry_after_s)
    said = bytearray()
    async for chunk in response.aiter_raw(SHOWN_BYTES):
        said += chunk
        if len(said) >= SHOWN_BYTES:
            break
    text = " ".join(said[:SHOWN_BYTES].decode(errors="replace").split())
    kind = "unreachable" if response.status_code in HOPELESS else "raised"
    return failed(kind, f"{status} ({text})" if text else status)


def _retry_after_s(response: httpx.Response) -> float:
    """Pause that the server asks for, in seconds or as a date; 0 when it asks for none."""
    value = response.headers.get("Retry-After", "")
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):  # A date without a zone cannot be compared.
        return 0.0


def _variable(name: str, field: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise GraderError(f"{SETTING}.{field}: environment variable {name} is not set. Set it to the value to send.")
    if not (value.isascii() and value.isprintable()):
        raise GraderError(f"{SETTING}.{field}: environment variable {name} has characters that no header can hold.")
    return value


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
