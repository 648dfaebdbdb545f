"""Who is let in: by bearer key and by signature, judged by the clients of OpenAI and AWS; how others are refused."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import botocore.exceptions
import httpx
import openai
import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.serve.accounts import Service, aws, bearer, serving

from tuneward.accounts.keys import IssuedKey, revoke_key
from tuneward.accounts.lookup import FRESH_S
from tuneward.accounts.projects import create_project


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("home"), environment_key="from the environment") as running:
        yield running


def test_openais_client_gets_in_with_a_key_and_401_without(service: Service) -> None:
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key=service.key("viewer").secret, max_retries=0) as client:
        assert list(client.models.list()) == []
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="tw-guessed", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            client.models.list()
        assert refused.value.code == "invalid_api_key"
        assert refused.value.request_id


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Basic dHc6dHc=", "tw-x", "Bearer bedrock-api-key-!!", "Bearer \xe9", "AWS4-X y"],
)
def test_nobody_gets_in_without_a_key(service: Service, header: str) -> None:
    headers = {"Authorization": header.encode("latin-1")} if header else {}
    response = httpx.get(f"{service.url}/v1/models", headers=headers)
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "invalid_api_key"


def test_two_authorizations_are_none(service: Service) -> None:
    key = service.key().secret
    headers = [("Authorization", f"Bearer {key}"), ("Authorization", f"Bearer {key}")]
    assert httpx.get(f"{service.url}/v1/models", headers=headers).status_code == 401


def test_the_key_of_the_environment_is_an_administrators(service: Service) -> None:
    response = httpx.get(f"{service.url}/api/projects", headers=bearer("from the environment"))
    assert [project["id"] for project in response.json()["data"]] == ["proj_default"]


def test_a_revoked_key_is_refused_within_seconds(service: Service) -> None:
    key = service.key("viewer")
    with service.client(key) as client:
        assert client.get("/v1/models").status_code == 200
        revoke_key(service.database, key.info.id)
        revoked_at = time.monotonic()
        while client.get("/v1/models").status_code == 200:
            assert time.monotonic() - revoked_at < FRESH_S + 10


def test_an_expired_key_says_so(service: Service) -> None:
    key = service.key("viewer", expires_at=time.time() + 0.3)
    deadline = time.monotonic() + 20
    while (response := httpx.get(f"{service.url}/v1/models", headers=bearer(key.secret))).status_code == 200:
        assert time.monotonic() < deadline
    assert response.status_code == 401
    assert "expired" in response.json()["error"]["message"]
    response = httpx.get(f"{service.url}/custom-models", headers=bearer(key.secret))
    assert response.headers["x-amzn-errortype"] == "ExpiredTokenException"


def test_the_project_header_must_be_the_keys_own(service: Service) -> None:
    for project, status in (("proj_default", 200), ("proj_other", 401)):
        key = service.key("viewer").secret
        with openai.OpenAI(
            base_url=f"{service.url}/v1", api_key=key, project=project, organization="org-x", max_retries=0
        ) as client:
            if status == 200:
                client.models.list()
                continue
            with pytest.raises(openai.AuthenticationError) as refused:
                client.models.list()
            assert refused.value.code == "mismatched_project"


def signed_get(
    service: Service, key: IssuedKey, path: str, *, name: str = "bedrock-mantle", token: str | None = None
) -> httpx.Response:
    url = service.url + path
    request = AWSRequest("GET", url, {"Host": url.split("/")[2]})
    SigV4Auth(Credentials(key.info.id, key.secret, token), name, "us-east-1").add_auth(request)
    return httpx.get(url, headers=dict(request.headers))


def test_signed_requests_get_in_on_openais_paths_too(service: Service) -> None:
    key = service.access_key("viewer")
    assert signed_get(service, key, "/v1/models").status_code == 200
    wrong = signed_get(service, key, "/v1/models", name="s3")
    assert wrong.status_code == 401
    assert "bedrock-mantle" in wrong.json()["error"]["message"]
    left_over = signed_get(service, key, "/v1/models", token="of another account")
    assert "AWS_SESSION_TOKEN" in left_over.json()["error"]["message"]


def test_boto3_gets_past_the_gate_and_what_it_is_refused_with_has_awss_names(service: Service) -> None:
    key = service.access_key("viewer")

    def failure(key_id: str, secret: str, region: str = "us-east-1") -> tuple[str, int]:
        client = aws("bedrock-runtime", service.url, key_id, secret, region=region)
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            client.converse(modelId="arn:aws:bedrock:us-east-1:0:x/y", messages=[])
        answer = refused.value.response
        return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]

    assert failure(key.info.id, key.secret)[0] not in ("InvalidSignatureException", "UnrecognizedClientException")
    assert failure(key.info.id, key.secret[::-1]) == ("InvalidSignatureException", 403)
    assert failure("TWAKAAAAAAAAAAAAAAAA", key.secret) == ("UnrecognizedClientException", 403)
    assert failure(key.info.id, key.secret, "eu-west-1") == ("InvalidSignatureException", 403)


def test_the_body_that_was_signed_reaches_the_route(service: Service) -> None:
    key = service.access_key("admin")
    url, body = f"{service.url}/api/projects", b'{"name": "made by a signed request"}'
    request = AWSRequest("POST", url, {"Host": url.split("/")[2], "Content-Type": "application/json"}, body)
    SigV4Auth(Credentials(key.info.id, key.secret), "bedrock-mantle", "us-east-1").add_auth(request)
    headers = dict(request.headers)
    assert httpx.post(url, headers=headers, content=body).json()["name"] == "made by a signed request"
    other = httpx.post(url, headers=headers, content=body.replace(b"signed", b"forged"))
    assert other.status_code == 401


def test_a_recorded_request_that_changes_something_is_refused(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = service.access_key("admin")
    url, body = f"{service.url}/api/keys", b'{"name": "made once"}'
    request = AWSRequest("POST", url, {"Host": url.split("/")[2], "Content-Type": "application/json"}, body)
    SigV4Auth(Credentials(key.info.id, key.secret), "bedrock-mantle", "us-east-1").add_auth(request)
    headers = dict(request.headers)
    assert [httpx.post(url, headers=headers, content=body).status_code for _ in range(2)] == [200, 200]
    monkeypatch.setattr("tuneward.accounts.repeats.HONEST_S", 0.0)
    late = httpx.post(url, headers=headers, content=body)
    assert late.status_code == 401
    assert "used before" in late.json()["error"]["message"]


def short_term_key(key: IssuedKey, expires_s: int = 3600) -> str:
    """As AWS's generator of short-term keys makes it."""
    request = AWSRequest(
        "POST", "https://bedrock.amazonaws.com/?Action=CallWithBearerToken", {"host": "bedrock.amazonaws.com"}
    )
    SigV4QueryAuth(Credentials(key.info.id, key.secret), "bedrock", "us-east-1", expires=expires_s).add_auth(request)
    url = request.url.removeprefix("https://") + "&Version=1"
    return "bedrock-api-key-" + base64.b64encode(url.encode()).decode()


def test_a_short_term_key_that_a_client_made_from_its_access_key_gets_in(service: Service) -> None:
    key = service.access_key("viewer")
    token = short_term_key(key)
    for _ in range(2):
        assert httpx.get(f"{service.url}/v1/models", headers=bearer(token)).status_code == 200
    forged = (
        "bedrock-api-key-"
        + base64.b64encode(
            base64.b64decode(token.removeprefix("bedrock-api-key-")).replace(
                b"X-Amz-Expires=3600", b"X-Amz-Expires=9999"
            )
        ).decode()
    )
    assert httpx.get(f"{service.url}/v1/models", headers=bearer(forged)).status_code == 401
    revoke_key(service.database, key.info.id)
    deadline = time.monotonic() + FRESH_S + 10
    while httpx.get(f"{service.url}/v1/models", headers=bearer(token)).status_code == 200:
        assert time.monotonic() < deadline


def test_a_body_of_a_stranger_is_not_waited_for(service: Service) -> None:
    port = int(service.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(
            b"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer no\r\nContent-Length: 1000000\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 401")


def test_keys_of_another_project_are_other_principals(service: Service, tmp_path: Path) -> None:
    project = create_project(service.database, f"project of {tmp_path.name}")
    with service.client(service.key("admin", project.id)) as client:
        assert [key["project_id"] for key in client.get("/api/keys").json()["data"]] == [project.id]
        assert client.get("/api/projects").status_code == 403
