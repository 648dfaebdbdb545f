"""Encrypted connections, and clients that are too slow."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from pathlib import Path

import botocore.exceptions
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.types import Receive, Scope, Send
from tests.serve.accounts import aws, serving

from tuneward.config import LimitsConfig
from tuneward.errors import ConfigError
from tuneward.serve.bodies import BodyLimits
from tuneward.serve.protocol import Timeouts
from tuneward.serve.server import Server, bind, tls_context

QUICK = Timeouts(headers_s=0.5, idle_s=1, unread_s=0.5)


def certificate(folder: Path) -> tuple[Path, Path]:
    """One that signs itself, for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tuneward")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


def test_clients_that_check_the_certificate_are_served(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    with serving(tmp_path / "home", tls=tls_context(cert, key)) as service:
        assert service.url.startswith("https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=str(cert))
        with httpx.Client(base_url=service.url, verify=trusting) as client:
            assert client.get("/healthz").json() == {"status": "ok"}
            assert client.get("/v1/models").status_code == 401
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{service.url}/healthz")
        with pytest.raises(httpx.HTTPError):
            httpx.get(service.url.replace("https", "http") + "/healthz")


def test_boto3_sends_a_bearer_key_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cert, key = certificate(tmp_path)
    with serving(tmp_path / "home", tls=tls_context(cert, key)) as service:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(cert))
        for secret, code in (
            (service.key("viewer").secret, "ResourceNotFoundException"),
            ("tw-guessed", "UnrecognizedClientException"),
        ):
            monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", secret)
            client = aws("bedrock", service.url, "unused", "unused")
            with pytest.raises(botocore.exceptions.ClientError) as refused:
                client.get_custom_model(modelIdentifier="nothing")
            assert refused.value.response["Error"]["Code"] == code


def test_signatures_hold_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cert, key = certificate(tmp_path)
    with serving(tmp_path / "home", tls=tls_context(cert, key)) as service:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(cert))
        access = service.access_key("viewer")
        client = aws("bedrock", service.url, access.info.id, access.secret)
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.get_custom_model(modelIdentifier="nothing")


def test_certificates_that_do_not_fit_are_a_configuration_error(tmp_path: Path) -> None:
    cert, _ = certificate(tmp_path / "a")
    _, other_key = certificate(tmp_path / "b")
    for key in (other_key, tmp_path / "missing.pem", cert):
        with pytest.raises(ConfigError, match="certificate"):
            tls_context(cert, key)


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow:", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /hea"],
    ids=["nothing", "half of the headers", "half of a second request"],
)
def test_a_client_that_does_not_finish_its_headers_is_hung_up_on(tmp_path: Path, sent: bytes) -> None:
    with serving(tmp_path / "home", timeouts=QUICK) as service:
        with socket.create_connection(("127.0.0.1", port_of(service.url)), timeout=20) as connection:
            connection.sendall(sent)
            until_closed(connection)
        assert httpx.get(f"{service.url}/healthz").status_code == 200


def test_a_client_that_does_not_read_its_answer_is_hung_up_on() -> None:
    ended = threading.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send_lifespan(receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 30_000_000, "more_body": True})
        await send({"type": "http.response.body", "body": b"y", "more_body": False})
        ended.set()

    with (
        Server(endless, bind("127.0.0.1", 0), timeouts=QUICK) as server,
        socket.create_connection(("127.0.0.1", port_of(server.url)), timeout=20) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert ended.wait(20)


def test_a_body_that_trickles_is_refused_with_408() -> None:
    async def reader(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send_lifespan(receive, send)
            return
        while (await receive()).get("more_body"):
            pass

    app = BodyLimits(reader, limits=LimitsConfig(), patience_s=0.3)
    with (
        Server(app, bind("127.0.0.1", 0)) as server,
        socket.create_connection(("127.0.0.1", port_of(server.url)), timeout=20) as connection,
    ):
        connection.sendall(b"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx")
        answer = until_closed(connection)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"request_timeout" in answer


def test_headers_are_not_kept_without_end(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "home") as service,
        socket.create_connection(("127.0.0.1", port_of(service.url)), timeout=20) as connection,
    ):
        with contextlib.suppress(OSError):  # the server hangs up on what it refuses
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Large: " + b"x" * 5_000_000)
        assert b"200 OK" not in until_closed(connection)


async def send_lifespan(receive: Receive, send: Send) -> None:
    for event in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{event}.complete"})


def port_of(url: str) -> int:
    return int(url.rsplit(":", 1)[1])


def until_closed(connection: socket.socket) -> bytes:
    got = b""
    try:
        while part := connection.recv(65536):
            got += part
    except ConnectionResetError:
        pass
    return got
