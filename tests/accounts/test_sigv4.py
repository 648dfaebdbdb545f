"""Signatures: what botocore signs holds, and whatever was changed afterwards does not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from tuneward.accounts.repeats import HONEST_S, Repeats
from tuneward.accounts.signature import Incoming, SignatureError, is_signed, read_signature
from tuneward.accounts.sigv4 import NO_BODY, SKEW_S, check_signature

KEY_ID, SECRET = "TWAKABCDEFGHIJKLMNOP", "s3cret"
ARN_PATH = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A000000000000%3Acustom-model-deployment%2Fabc/converse"
BODY = b'{"messages": []}'


def signed(
    path: str = ARN_PATH,
    *,
    query: str = "",
    method: str = "POST",
    body: bytes = BODY,
    headers: dict[str, str] | None = None,
    service: str = "bedrock",
    region: str = "us-east-1",
    secret: str = SECRET,
    presigned_for_s: int | None = None,
) -> Incoming:
    """A request that botocore signed, as a server gets it; presigned ones have no body."""
    body = body if presigned_for_s is None else b""
    url = f"http://127.0.0.1:8000{path}" + (f"?{query}" if query else "")
    given = {"Host": "127.0.0.1:8000", **(headers or {"Content-Type": "application/json"})}
    request = AWSRequest(method, url, given, body)
    credentials = Credentials(KEY_ID, secret)
    if presigned_for_s is None:
        SigV4Auth(credentials, service, region).add_auth(request)
    else:
        SigV4QueryAuth(credentials, service, region, expires=presigned_for_s).add_auth(request)
    parts = urlsplit(request.url)
    return Incoming(
        method,
        parts.path,
        parts.query,
        tuple((name.lower(), value) for name, value in request.headers.items()),
        hashlib.sha256(body).hexdigest(),
    )


def check(
    request: Incoming, *, secret: str = SECRET, later_s: float = 0.0, services: tuple[str, ...] = ("bedrock",)
) -> None:
    signature = read_signature(request)
    assert signature.key_id == KEY_ID
    now = signature.signed_at + later_s
    check_signature(request, signature, secret, region="us-east-1", services=services, now=now)


def with_header(request: Incoming, name: str, change: Callable[[str], str]) -> Incoming:
    headers = tuple((known, change(value) if known == name else value) for known, value in request.headers)
    assert headers != request.headers
    return replace(request, headers=headers)


@pytest.mark.parametrize("presigned_for_s", [None, 60])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_what_botocore_signs_holds(method: str, presigned_for_s: int | None) -> None:
    request = signed(method=method, query="b=2&a=1&a=0&empty=&x%5By%5D=%2F", presigned_for_s=presigned_for_s)
    assert is_signed(request)
    check(request)


SEGMENT = st.text(st.characters(codec="utf-8", exclude_characters="/"), max_size=12).map(
    lambda text: quote(text, safe="")
)


@given(
    path=st.lists(SEGMENT, max_size=4).map(lambda parts: "/" + "/".join(parts)),
    query=st.lists(st.tuples(SEGMENT, SEGMENT), max_size=4).map(lambda pairs: "&".join(f"{n}={v}" for n, v in pairs)),
    value=st.text(st.characters(codec="latin-1", categories=["L", "N", "Z", "P"], max_codepoint=255), max_size=12),
    body=st.binary(max_size=20),
    method=st.sampled_from(["GET", "POST", "PUT"]),
)
def test_any_path_query_header_and_body_holds(path: str, query: str, value: str, body: bytes, method: str) -> None:
    if "X-Amz-" in query:
        return
    check(signed(path, query=query, headers={"X-Amz-Meta": value}, body=body, method=method))


CHANGES: dict[str, Callable[[Incoming], Incoming]] = {
    "method": lambda request: replace(request, method="PUT"),
    "path": lambda request: replace(request, path=request.path.replace("abc", "abd")),
    "encoding of the path": lambda request: replace(request, path=request.path.replace("%2F", "/")),
    "query": lambda request: replace(request, query=request.query.replace("a=1", "a=2")),
    "a further query": lambda request: replace(request, query=request.query + "&z=1"),
    "body": lambda request: request.with_body(hashlib.sha256(b"{}").hexdigest()),
    "host": lambda request: with_header(request, "host", lambda _: "elsewhere"),
    "a signed header": lambda request: with_header(request, "content-type", lambda _: "text/plain"),
    "a signed header twice": lambda request: replace(request, headers=(*request.headers, ("content-type", "x"))),
    "a further amz header": lambda request: replace(request, headers=(*request.headers, ("x-amz-target", "x"))),
}


@pytest.mark.parametrize("presigned_for_s", [None, 60])
@pytest.mark.parametrize("what", CHANGES)
def test_whatever_is_changed_is_noticed(what: str, presigned_for_s: int | None) -> None:
    request = signed(query="a=1&b=2", presigned_for_s=presigned_for_s)
    check(request)
    with pytest.raises(SignatureError) as refused:
        check(CHANGES[what](request))
    assert refused.value.kind == "InvalidSignatureException"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("us-east-1", "eu-west-1"),
        ("/bedrock/", "/lambda/"),
        ("aws4_request", "aws4"),
        ("host;", ""),
        (KEY_ID, "TWAK/x"),
    ],
)
def test_no_part_of_the_authorization_can_be_changed(old: str, new: str) -> None:
    with pytest.raises(SignatureError):
        check(
            with_header(signed(), "authorization", lambda value: value.replace(old, new)),
            services=("bedrock", "lambda"),
        )


def test_each_digit_of_the_signature_counts() -> None:
    request = signed()
    last = request.values("authorization")[0][-1]
    with pytest.raises(SignatureError, match="does not match"):
        check(with_header(request, "authorization", lambda value: value[:-1] + ("0" if last != "0" else "1")))


def test_the_date_of_the_scope_is_the_date_of_the_request() -> None:
    request = signed()
    day = read_signature(request).date
    moved = with_header(request, "authorization", lambda value: value.replace(day, "20200101"))
    with pytest.raises(SignatureError, match="date of its scope"):
        check(moved)


def test_another_secret_another_region_and_another_service_do_not_do() -> None:
    with pytest.raises(SignatureError, match="does not match"):
        check(signed(), secret="guessed")
    with pytest.raises(SignatureError, match="us-east-1"):
        check(signed(region="eu-west-1"))
    with pytest.raises(SignatureError, match="bedrock"):
        check(signed(service="s3"))


@pytest.mark.parametrize("later_s", [-SKEW_S - 1, SKEW_S + 1])
def test_dates_outside_of_five_minutes_are_refused(later_s: float) -> None:
    check(signed(), later_s=later_s - 1 if later_s > 0 else later_s + 1)
    with pytest.raises(SignatureError) as refused:
        check(signed(), later_s=later_s)
    assert refused.value.kind == "InvalidSignatureException"


def test_presigned_requests_that_read_hold_as_long_as_they_say_and_others_for_minutes() -> None:
    reading = signed(method="GET", presigned_for_s=3600)
    check(reading, later_s=3600)
    with pytest.raises(SignatureError) as refused:
        check(reading, later_s=3601)
    assert refused.value.kind == "ExpiredTokenException"
    writing = signed(method="POST", presigned_for_s=3600)
    check(writing, later_s=SKEW_S)
    with pytest.raises(SignatureError):
        check(writing, later_s=SKEW_S + 1)


def test_a_body_must_be_signed_unless_there_is_none() -> None:
    unsigned = {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}
    check(signed(headers=unsigned, body=b"", method="GET"))
    with pytest.raises(SignatureError, match="must be signed"):
        check(signed(headers=unsigned))
    with pytest.raises(SignatureError, match="must be signed"):
        check(signed(headers={"X-Amz-Content-SHA256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}))
    check(signed(headers={"X-Amz-Content-SHA256": hashlib.sha256(BODY).hexdigest()}))
    with pytest.raises(SignatureError, match="SHA-256"):
        check(signed(headers={"X-Amz-Content-SHA256": NO_BODY}))


@given(text=st.text(st.characters(max_codepoint=255), max_size=80))
def test_no_authorization_breaks_the_reader(text: str) -> None:
    for headers in ((("authorization", f"AWS4-HMAC-SHA256 {text}"), ("x-amz-date", text)), ()):
        request = Incoming("GET", "/", f"X-Amz-Algorithm=AWS4-HMAC-SHA256&{text}", headers, NO_BODY)
        with pytest.raises(SignatureError):
            read_signature(request)


def test_a_recording_of_a_change_is_noticed_and_an_honest_second_try_is_not() -> None:
    now = 0.0
    repeats = Repeats(lambda: now)
    assert not repeats.is_recording("POST", "a")
    now = HONEST_S
    assert not repeats.is_recording("POST", "a")
    assert not repeats.is_recording("POST", "b")
    now = HONEST_S + 1
    assert repeats.is_recording("POST", "a")
    assert repeats.is_recording("DELETE", "a")
    assert not repeats.is_recording("GET", "a")
    now = 2 * SKEW_S + HONEST_S + 2
    assert not repeats.is_recording("POST", "c")
    assert len(repeats._first_used) == 1, "signatures that are too old to be accepted need not be remembered"
