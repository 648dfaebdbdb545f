"""Checking AWS Signature Version 4.

Source: AWS Signature Version 4 for API requests, "Create a signed AWS API request"; Bedrock RFT contract, 8.0.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection
from urllib.parse import quote

from tuneward.accounts.signature import ALGORITHM, Incoming, Kind, Signature, SignatureError, incomplete, invalid

SKEW_S = 300
"""How far the clocks of client and server may differ."""
LONGEST_PRESIGNED_S = 7 * 24 * 3600
"""Of a request that reads. One that changes things lives no longer than if it were signed in a header."""
READING = ("GET", "HEAD", "OPTIONS")
NO_BODY = hashlib.sha256(b"").hexdigest()


def check_signature(
    request: Incoming,
    signature: Signature,
    secret: str,
    *,
    region: str,
    services: Collection[str],
    now: float,
    longest_s: int | None = None,
) -> None:
    """Return when the holder of the secret made exactly this request, for here and now.

    Args:
        request: as it came.
        signature: from `read_signature`.
        secret: of the access key that it names.
        region: of the server.
        services: names that may stand in the scope.
        now: seconds since 1970.
        longest_s: how long a presigned request may hold; None: a week if it reads, else `SKEW_S`.

    Raises:
        SignatureError: why not.
    """
    if longest_s is None:
        longest_s = LONGEST_PRESIGNED_S if request.method in READING else SKEW_S
    _check_time(signature, now, longest_s)
    if signature.date != signature.timestamp[:8]:
        raise invalid(f"the date of its scope is {signature.date}, X-Amz-Date is {signature.timestamp}")
    if signature.region != region:
        raise invalid(f"it is for the region {signature.region}, this server is {region}; set AWS_DEFAULT_REGION")
    if signature.service not in services:
        raise invalid(f"it is for the service {signature.service}, expected {' or '.join(sorted(services))}")
    _check_signed_headers(request, signature)
    _check_body(request)
    expected = _sign(secret, signature, canonical_request(request, signature))
    if not hmac.compare_digest(expected, signature.value):
        raise SignatureError(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key, and that no proxy changes the path, the query, the body or the header Host.",
        )


def canonical_request(request: Incoming, signature: Signature) -> str:
    """The text that stands for a request in its signature."""
    headers = "".join(f"{name}:{_joined(request.values(name))}\n" for name in signature.signed_headers)
    declared = request.values("x-amz-content-sha256")
    lines = (
        request.method,
        quote(_without_dots(request.path), safe="/~"),
        _canonical_query(request.query, is_presigned=signature.expires_s is not None),
        headers,
        ";".join(signature.signed_headers),
        declared[0] if declared else request.body_sha256,
    )
    return "\n".join(lines)


def _sign(secret: str, signature: Signature, canonical: str) -> str:
    key = f"AWS4{secret}".encode()
    for part in (signature.date, signature.region, signature.service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    text = "\n".join((ALGORITHM, signature.timestamp, signature.scope, digest))
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _check_time(signature: Signature, now: float, longest_s: int) -> None:
    lifetime = SKEW_S if signature.expires_s is None else min(signature.expires_s, longest_s)
    if signature.signed_at > now + SKEW_S:
        raise invalid(f"it is dated {signature.timestamp}, which is still to come; set the client's clock")
    if now > signature.signed_at + lifetime:
        kind: Kind = "InvalidSignatureException" if signature.expires_s is None else "ExpiredTokenException"
        raise SignatureError(kind, f"Signature expired: it is dated {signature.timestamp} and held for {lifetime} s.")


def _check_signed_headers(request: Incoming, signature: Signature) -> None:
    names = signature.signed_headers
    if list(names) != sorted(set(names)) or any(name != name.lower() for name in names):
        raise incomplete("SignedHeaders are not sorted lower-case names")
    needed = {"host", *(name for name, _ in request.headers if name.startswith("x-amz-"))}
    if missing := sorted(needed.difference(names)):
        raise invalid(f"the header {missing[0]} is not signed")
    for name in ("host", "x-amz-date", "x-amz-content-sha256"):
        if len(request.values(name)) > 1:
            raise incomplete(f"the header {name} comes twice")


def _check_body(request: Incoming) -> None:
    """What is declared of the body is so; an unsigned one is only safe when it is empty."""
    declared = request.values("x-amz-content-sha256")
    if not declared or declared[0] == request.body_sha256:
        return
    if declared[0] == "UNSIGNED-PAYLOAD" and request.body_sha256 == NO_BODY:
        return
    if re.fullmatch(r"[0-9a-f]{64}", declared[0]):
        raise invalid("the body is not the one whose SHA-256 is in X-Amz-Content-Sha256")
    raise invalid(f"X-Amz-Content-Sha256 is {declared[0][:40]}; the body must be signed")


def _canonical_query(query: str, *, is_presigned: bool) -> str:
    pairs = [(name, value) for name, _, value in (part.partition("=") for part in query.split("&") if part)]
    if is_presigned:
        pairs = [pair for pair in pairs if pair[0] != "X-Amz-Signature"]
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _joined(values: list[str]) -> str:
    return ",".join(" ".join(value.split()) for value in values)


def _without_dots(path: str) -> str:
    """RFC 3986, 5.2.4, and without empty segments."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    return "/" + "/".join(kept) + ("/" if path.endswith("/") and kept else "")
