"""What one key may ask for: requests and tokens per minute, bytes of a body."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.exceptions
import httpx
import openai
import pytest
from tests.serve.accounts import aws, bearer, serving
from tests.service import app_with
from tests.serving import start_engine

from tuneward.config import LimitsConfig, ServerConfig
from tuneward.jobs.problems import LimitExceededError
from tuneward.serve.bodies import FUNCTION_BYTES, PART_BYTES, most_bytes
from tuneward.serve.catalog import ServedModel
from tuneward.serve.limits import Bucket, RateLimits, duration
from tuneward.serve.server import Server, bind


def test_a_bucket_fills_evenly_and_can_owe() -> None:
    now = 0.0
    bucket = Bucket(60, lambda: now)
    bucket.take(100)
    assert bucket.level == -40
    assert bucket.wait_s(1) == 41
    now = 50.0
    assert bucket.level == 10
    now = 1e6
    assert bucket.level == 60


def test_keys_are_counted_apart_and_tokens_are_paid_afterwards() -> None:
    now = 0.0
    limits = RateLimits(LimitsConfig(requests_per_minute=2, tokens_per_minute=100), lambda: now)
    limits.admit("a")
    limits.spend("a", 160)
    with pytest.raises(LimitExceededError, match="tokens") as refused:
        limits.admit("a")
    assert refused.value.retry_after_s == pytest.approx(36.6)
    limits.admit("b")
    limits.admit("b")
    with pytest.raises(LimitExceededError, match="requests"):
        limits.admit("b")
    now = 37.0
    limits.admit("a")


def test_no_limits_no_headers() -> None:
    limits = RateLimits(LimitsConfig())
    for _ in range(1000):
        limits.admit("a")
    assert limits.headers("a") == {}


@pytest.mark.parametrize(("seconds", "text"), [(0, "0ms"), (0.12, "120ms"), (1, "1s"), (59.6, "1m0s"), (360, "6m0s")])
def test_durations_are_written_as_openai_does(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_clients_of_both_kinds_understand_the_refusal(tmp_path: Path) -> None:
    with serving(tmp_path / "home", requests_per_minute=2) as service:
        with openai.OpenAI(base_url=f"{service.url}/v1", api_key=service.key("viewer").secret, max_retries=0) as client:
            first = client.models.with_raw_response.list()
            assert first.headers["x-ratelimit-limit-requests"] == "2"
            assert first.headers["x-ratelimit-remaining-requests"] == "1"
            assert first.headers["x-ratelimit-reset-requests"].endswith("s")
            client.models.list()
            with pytest.raises(openai.RateLimitError) as refused:
                client.models.list()
            assert refused.value.code == "rate_limit_exceeded"
            assert 1 <= int(refused.value.response.headers["retry-after"]) <= 30
        access = service.access_key("viewer")
        bedrock = aws("bedrock", service.url, access.info.id, access.secret)
        for _ in range(2):
            with pytest.raises(bedrock.exceptions.ResourceNotFoundException):
                bedrock.get_custom_model(modelIdentifier="nothing")
        with pytest.raises(botocore.exceptions.ClientError) as throttled:
            bedrock.get_custom_model(modelIdentifier="nothing")
        assert throttled.value.response["Error"]["Code"] == "ThrottlingException"
        # The metrics are asked of the same server: both refusals are counted.
        assert b"tuneward_rate_limited_requests_total 2.0" in httpx.get(f"{service.url}/metrics").content


@pytest.mark.parametrize("is_streamed", [False, True])
def test_tokens_of_answers_are_paid_for(tiny_chat_model: Path, tmp_path: Path, is_streamed: bool) -> None:
    config = ServerConfig(limits=LimitsConfig(tokens_per_minute=2))
    models = [ServedModel("owner/tiny", start_engine(tiny_chat_model), 1)]
    app = app_with(tmp_path / "home", models, config=config)
    with (
        Server(app, bind("127.0.0.1", 0)) as server,
        openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client,
    ):
        first = client.models.with_raw_response.list()
        assert first.headers["x-ratelimit-remaining-tokens"] == "2"
        answer: Any = client.chat.completions.create(
            model="owner/tiny", messages=[{"role": "user", "content": "Hello"}], max_tokens=5, stream=is_streamed
        )
        if is_streamed:
            list(answer)
        with pytest.raises(openai.RateLimitError, match="tokens per minute") as refused:
            client.models.list()
        # The prompt has more than ten tokens, so that minutes are owed.
        assert int(refused.value.response.headers["retry-after"]) > 200
        counted = httpx.get(f"{server.url}/metrics").text
        assert 'tuneward_tokens_total{kind="completion"} 5.0' in counted


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """URL and key of a server that takes 10 000 bytes."""
    with serving(tmp_path_factory.mktemp("home"), body_bytes=10_000, upload_bytes=20_000) as service:
        yield service.url, service.key().secret


@pytest.mark.parametrize(
    ("path", "kind"), [("/v1/chat/completions", None), ("/model/x/converse", "ValidationException")]
)
def test_a_body_that_is_too_large_is_refused_in_the_dialect(
    small: tuple[str, str], path: str, kind: str | None
) -> None:
    url, key = small
    response = httpx.post(url + path, content=b" " * 10_001, headers=bearer(key))
    if kind is None:
        assert response.status_code == 413
        assert response.json()["error"]["code"] == "request_too_large"
    else:
        assert response.status_code == 400
        assert response.headers["x-amzn-errortype"] == kind


def test_bytes_are_counted_where_no_length_is_given(small: tuple[str, str]) -> None:
    url, key = small
    with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=20) as connection:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
        connection.sendall(f"{head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(11):
            connection.sendall(b"3e8\r\n" + b" " * 1000 + b"\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_files_parts_and_functions_may_be_larger() -> None:
    limits = LimitsConfig(body_bytes=1000, upload_bytes=5000)
    assert most_bytes("/v1/chat/completions", limits) == 1000
    assert most_bytes("/v1/files", limits) > 5000
    assert most_bytes("/v1/uploads/upload_1/parts", limits) > PART_BYTES
    assert most_bytes("/2015-03-31/functions", limits) == FUNCTION_BYTES
    assert most_bytes("/2015-03-31/functions/f/code", limits) == FUNCTION_BYTES
    assert most_bytes("/2015-03-31/functions/f/invocations", limits) == 1000
    assert most_bytes("/v1/files/file-1", limits) == 1000
