"""Reading AWS Signature Version 4 off a request: from a header, or from the query (presigned).

Source: AWS Signature Version 4 for API requests, "Create a signed AWS API request"; Bedrock RFT contract, 8.0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import parse_qsl

ALGORITHM = "AWS4-HMAC-SHA256"

Kind = Literal["IncompleteSignatureException", "InvalidSignatureException", "ExpiredTokenException"]


class SignatureError(Exception):
    """The signature does not hold; `kind` is AWS's name for the reason."""

    def __init__(self, kind: Kind, message: str):
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as it was on the wire."""

    method: str
    path: str
    """Percent-encoded, as sent."""
    query: str
    headers: tuple[tuple[str, str], ...]
    """Names in lower case, in the order sent."""
    body_sha256: str

    def values(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for known, value in self.headers if known == name]

    def with_body(self, sha256: str) -> Incoming:
        """The same with another body."""
        return replace(self, body_sha256=sha256)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a request says of its signature."""

    key_id: str
    date: str
    """Day of the scope, `YYYYMMDD`."""
    region: str
    service: str
    signed_headers: tuple[str, ...]
    value: str
    """64 hexadecimal digits."""
    timestamp: str
    """`YYYYMMDDTHHMMSSZ`."""
    signed_at: float
    expires_s: int | None
    """Of a presigned request."""
    session_token: str | None

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def is_signed(request: Incoming) -> bool:
    """Whether a request claims to be signed, and by which of the two ways does not matter."""
    return any(value.startswith("AWS4-") for value in request.values("authorization")) or "X-Amz-Algorithm=" in (
        request.query
    )


def read_signature(request: Incoming) -> Signature:
    """Take the signature apart. Raises SignatureError when parts are missing, doubled or malformed."""
    given = request.values("authorization")
    if given:
        parts = _header_parts(given)
        parts["X-Amz-Date"] = _only(request.values("x-amz-date"), "the header X-Amz-Date")
        token = request.values("x-amz-security-token")
    else:
        parts = _query_parts(request.query)
        token = [parts["X-Amz-Security-Token"]] if "X-Amz-Security-Token" in parts else []
    for name in ("Credential", "SignedHeaders", "Signature", "X-Amz-Date"):
        if not parts.get(name):
            raise incomplete(f"it has no {name}")
    key_id, *scope = parts["Credential"].split("/")
    if len(scope) != 4 or scope[3] != "aws4_request":
        raise incomplete("Credential is not KEY/DATE/REGION/SERVICE/aws4_request")
    if not re.fullmatch(r"[A-Za-z0-9_]{1,128}", key_id):
        raise incomplete("the access key id has other characters than letters and digits")
    if not re.fullmatch(r"[0-9a-f]{64}", parts["Signature"]):
        raise incomplete("Signature is not 64 hexadecimal digits")
    expires = parts.get("X-Amz-Expires")
    if not given and not (expires and re.fullmatch(r"[0-9]{1,6}", expires)):
        raise incomplete("X-Amz-Expires is no number of seconds")
    return Signature(
        key_id,
        scope[0],
        scope[1],
        scope[2],
        tuple(parts["SignedHeaders"].split(";")),
        parts["Signature"],
        parts["X-Amz-Date"],
        _seconds(parts["X-Amz-Date"]),
        None if given else int(expires or 0),
        token[0] if token else None,
    )


def _header_parts(given: list[str]) -> dict[str, str]:
    algorithm, _, rest = _only(given, "the header Authorization").partition(" ")
    if algorithm != ALGORITHM:
        raise incomplete(f"only {ALGORITHM} is known")
    return _unique([(name, value) for name, _, value in (part.strip().partition("=") for part in rest.split(","))])


def _query_parts(query: str) -> dict[str, str]:
    pairs = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0].startswith("X-Amz-")]
    parts = _unique(pairs)
    if parts.get("X-Amz-Algorithm") != ALGORITHM:
        raise incomplete(f"only {ALGORITHM} is known")
    short = {f"X-Amz-{name}": name for name in ("Credential", "SignedHeaders", "Signature")}
    return {short.get(name, name): value for name, value in parts.items()}


def _unique(pairs: list[tuple[str, str]]) -> dict[str, str]:
    parts = dict(pairs)
    if len(parts) != len(pairs):
        raise incomplete("a part of it comes twice")
    return parts


def _only(values: list[str], what: str) -> str:
    if len(values) != 1:
        raise incomplete(f"{what} is missing or comes twice")
    return values[0].strip()


def _seconds(timestamp: str) -> float:
    try:
        return datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise incomplete("X-Amz-Date is not YYYYMMDDTHHMMSSZ") from None


def incomplete(reason: str) -> SignatureError:
    """It cannot be read."""
    return SignatureError("IncompleteSignatureException", f"The signature cannot be read: {reason}.")


def invalid(reason: str) -> SignatureError:
    """It can be read, and does not hold."""
    return SignatureError("InvalidSignatureException", f"The signature is not accepted: {reason}.")
