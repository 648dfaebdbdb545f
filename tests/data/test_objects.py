"""Objects by address, against a server that speaks S3, with a wire between that can break."""

from __future__ import annotations

import os
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tuneward.config.server import StorageConfig
from tuneward.data import s3
from tuneward.data.objects import ObjectStore
from tuneward.errors import DataError

HOP = {"connection", "transfer-encoding", "content-length", "host", "date", "server"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def settings_of_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing-access-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing-secret-key")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)


@pytest.fixture
def bucket(endpoint: str, request: pytest.FixtureRequest) -> str:
    name = f"bucket-{abs(hash(request.node.name)) % 10**12}"
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket=name)
    return name


@pytest.fixture
def store(endpoint: str) -> ObjectStore:
    return ObjectStore(StorageConfig(endpoint_url=endpoint))


class Wire:
    """Passes requests on to a server, unless told what to do with the next ones."""

    def __init__(self, target: str) -> None:
        self.faults: list[Callable[[BaseHTTPRequestHandler], bool]] = []
        self.requests: list[str] = []
        address = urlsplit(target).netloc
        wire = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                wire.requests.append(f"{self.command} {self.path} {self.headers.get('range', '')}".strip())
                fault = wire.faults.pop(0) if wire.faults else None
                if fault is not None and fault(self):
                    return
                other = HTTPConnection(address)
                headers = {key: value for key, value in self.headers.items() if key.lower() not in HOP}
                other.request(self.command, self.path, body, headers)
                answer = other.getresponse()
                content = answer.read()
                self.send_response(answer.status)
                for key, value in answer.getheaders():
                    if key.lower() not in HOP:
                        self.send_header(key, value)
                size = answer.getheader("content-length") if self.command == "HEAD" else len(content)
                self.send_header("Content-Length", str(size))
                self.end_headers()
                cut = getattr(self, "cut", None)
                self.wfile.write(content[:cut])
                if cut is not None:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                other.close()

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any  # noqa: N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def busy(handler: BaseHTTPRequestHandler) -> bool:
    body = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
    handler.send_response(503)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)
    return True


def denied(handler: BaseHTTPRequestHandler) -> bool:
    body = b"<Error><Code>AccessDenied</Code><Message>testing-secret-key</Message></Error>"
    handler.send_response(403)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)
    return True


def cut_after(size: int) -> Callable[[BaseHTTPRequestHandler], bool]:
    def fault(handler: BaseHTTPRequestHandler) -> bool:
        handler.cut = size  # type: ignore[attr-defined]
        return False

    return fault


@pytest.fixture
def wire(endpoint: str) -> Iterator[Wire]:
    made = Wire(endpoint)
    yield made
    made.stop()


@pytest.fixture
def weak(wire: Wire) -> ObjectStore:
    """A store behind the wire."""
    return ObjectStore(StorageConfig(endpoint_url=wire.url))


def read(store: ObjectStore, uri: str) -> bytes:
    return b"".join(store.read(uri))


def test_what_is_stored_comes_back(store: ObjectStore, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(b"row\n" * 1000)
    store.upload(tmp_path / "rows.jsonl", f"s3://{bucket}/a/rows.jsonl")
    store.upload(b"", f"s3://{bucket}/a/empty")
    assert read(store, f"s3://{bucket}/a/rows.jsonl") == b"row\n" * 1000
    assert read(store, f"s3://{bucket}/a/empty") == b""
    (tmp_path / "target").write_bytes(b"old")
    store.download(f"s3://{bucket}/a/rows.jsonl", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"row\n" * 1000


def test_a_prefix_is_a_folder_and_not_the_beginning_of_a_name(store: ObjectStore, bucket: str) -> None:
    for key in ("logs/b", "logs/a/x", "logs-old/c", "logs", "logs/deep/", "other"):
        store.upload(key.encode(), f"s3://{bucket}/{key}") if not key.endswith("/") else None
    base = f"s3://{bucket}"
    assert [info.uri for info in store.list(f"{base}/logs")] == [f"{base}/logs", f"{base}/logs/a/x", f"{base}/logs/b"]
    assert [(info.uri, info.bytes) for info in store.list(f"{base}/logs/")] == [
        (f"{base}/logs/a/x", 8),
        (f"{base}/logs/b", 6),
    ]
    assert len(list(store.list(base))) == len(list(store.list(f"{base}/"))) == 5
    assert list(store.list(f"{base}/none")) == []


def test_a_list_has_many_pages(weak: ObjectStore, wire: Wire, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "LISTED_KEYS", 3)
    for number in range(8):
        weak.upload(b"", f"s3://{bucket}/many/{number}")
    wire.requests.clear()
    assert [info.uri[-1] for info in weak.list(f"s3://{bucket}/many/")] == list("01234567")
    assert len(wire.requests) == 3


def test_the_probe_is_written_and_gone(store: ObjectStore, bucket: str, wire: Wire, weak: ObjectStore) -> None:
    weak.probe_write(f"s3://{bucket}/out/")
    path = f"/{bucket}/out/.write_access_check_file.tmp"
    assert [line.split("?")[0] for line in wire.requests] == [f"PUT {path}", f"DELETE {path}"]
    assert list(store.list(f"s3://{bucket}")) == []


@pytest.mark.parametrize(
    "uri",
    ["", "bucket/key", "/etc/passwd", "file:///etc/passwd", "http://169.254.169.254/latest", "s3://", "s3://a/b",
     "s3://UPPER/key", "s3://arn:aws:s3:us-east-1:1:accesspoint/x/key", "s3://bucket@host/key", "s3://bucket/../key",
     "s3://bucket/a/./b", "s3://bucket/a\0b", "s3://bucket/a\nb"],
)  # fmt: skip
def test_other_addresses_are_refused(store: ObjectStore, uri: str, tmp_path: Path) -> None:
    for call in (
        lambda: read(store, uri),
        lambda: list(store.list(uri)),
        lambda: store.upload(b"x", uri),
        lambda: store.download(uri, tmp_path / "target"),
        lambda: store.probe_write(uri),
    ):
        with pytest.raises(DataError, match="no address of an object"):
            call()


def test_only_the_buckets_of_the_configuration_are_used(endpoint: str, bucket: str, store: ObjectStore) -> None:
    store.upload(b"x", f"s3://{bucket}/key")
    narrow = ObjectStore(StorageConfig(endpoint_url=endpoint, buckets=("some-other",)))
    with pytest.raises(DataError, match=r"may not be used here; .*storage\.buckets"):
        read(narrow, f"s3://{bucket}/key")
    wide = ObjectStore(StorageConfig(endpoint_url=endpoint, buckets=(bucket,)))
    assert read(wide, f"s3://{bucket}/key") == b"x"


def test_the_address_may_come_from_boto3s_own_settings(
    endpoint: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    store = ObjectStore(StorageConfig())
    store.upload(b"x", f"s3://{bucket}/key")
    assert read(store, f"s3://{bucket}/key") == b"x"


def test_what_is_missing_is_named(store: ObjectStore, bucket: str, tmp_path: Path) -> None:
    for uri, reason in (
        (f"s3://{bucket}/none", rf"s3://{bucket}/none does not exist"),
        ("s3://no-such-bucket/key", "There is no bucket no-such-bucket"),
    ):
        with pytest.raises(DataError, match=reason):
            read(store, uri)
        with pytest.raises(DataError, match=reason):
            store.download(uri, tmp_path / "target")
    (tmp_path / "source").write_bytes(b"x")
    for source in (b"x", tmp_path / "source"):
        with pytest.raises(DataError, match="There is no bucket no-such-bucket"):
            store.upload(source, "s3://no-such-bucket/key")
    with pytest.raises(DataError, match="There is no bucket no-such-bucket"):
        list(store.list("s3://no-such-bucket/key"))
    with pytest.raises(DataError, match="names no object"):
        read(store, f"s3://{bucket}/folder/")
    assert not (tmp_path / "target").exists()


def test_denied_access_is_said_in_known_words_and_without_secrets(
    weak: ObjectStore, wire: Wire, bucket: str, tmp_path: Path
) -> None:
    (tmp_path / "source").write_bytes(b"x")
    known = f"Could not validate GetObject permissions to access Amazon S3 bucket: {bucket} at key a/b"
    calls = [
        (lambda: read(weak, f"s3://{bucket}/a/b"), known),
        (lambda: weak.download(f"s3://{bucket}/a/b", tmp_path / "target"), known),
        (lambda: weak.upload(b"x", f"s3://{bucket}/a/b"), r"Amazon S3 perms missing \(PutObject\)"),
        (lambda: weak.upload(tmp_path / "source", f"s3://{bucket}/a/b"), r"Amazon S3 perms missing \(PutObject\)"),
        (lambda: weak.probe_write(f"s3://{bucket}/a"), r"Amazon S3 perms missing \(PutObject\)"),
        (lambda: list(weak.list(f"s3://{bucket}/a")), r"Amazon S3 perms missing \(ListBucket\)"),
    ]
    for call, reason in calls:
        wire.faults = [denied]
        with pytest.raises(DataError, match=reason) as caught:
            call()
        assert "testing-" not in str(caught.value)


def test_a_busy_storage_is_asked_again(weak: ObjectStore, wire: Wire, bucket: str, tmp_path: Path) -> None:
    uri = f"s3://{bucket}/key"
    wire.faults = [busy, busy]
    weak.upload(b"content", uri)
    wire.faults = [busy, busy]
    assert read(weak, uri) == b"content"
    wire.faults = [busy, busy]
    weak.download(uri, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"content"
    wire.faults = [busy] * 100
    with pytest.raises(DataError, match="too busy"):
        read(weak, uri)
    assert len(wire.faults) == 100 - s3.ATTEMPTS


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuneward.data.s3.random.uniform", lambda _low, _high: 0.0)


@pytest.mark.usefixtures("no_waits")
def test_reading_goes_on_where_the_connection_broke(weak: ObjectStore, wire: Wire, bucket: str) -> None:
    content = os.urandom(3_000_000)
    weak.upload(content, f"s3://{bucket}/key")
    wire.requests.clear()
    wire.faults = [cut_after(0), cut_after(1_500_000), cut_after(700_000)]
    assert read(weak, f"s3://{bucket}/key") == content
    ranges = [line.partition("bytes=")[2] for line in wire.requests]
    assert ranges[:2] == ["", ""]
    assert len(ranges) == 4
    assert 0 < int(ranges[2].rstrip("-")) < int(ranges[3].rstrip("-")) <= 2_200_000


@pytest.mark.usefixtures("no_waits")
def test_an_object_that_is_replaced_while_it_is_read_is_no_mixture(
    weak: ObjectStore, store: ObjectStore, wire: Wire, bucket: str
) -> None:
    uri = f"s3://{bucket}/key"
    weak.upload(b"a" * 3_000_000, uri)
    wire.faults = [cut_after(1_500_000)]
    pieces = weak.read(uri)
    next(pieces)
    store.upload(b"b" * 3_000_000, uri)
    with pytest.raises(DataError, match="was replaced while it was read"):
        list(pieces)


@pytest.mark.usefixtures("no_waits")
def test_a_connection_that_always_breaks_is_an_error_in_the_end(
    weak: ObjectStore, wire: Wire, bucket: str, tmp_path: Path
) -> None:
    uri = f"s3://{bucket}/key"
    weak.upload(b"x" * 1000, uri)
    wire.faults = [cut_after(0)] * 50
    with pytest.raises(DataError, match="could not be reached, or broke off"):
        read(weak, uri)
    (tmp_path / "target").write_bytes(b"old")
    wire.faults = [cut_after(10)] * 50
    with pytest.raises(DataError, match="could not be reached, or broke off"):
        weak.download(uri, tmp_path / "target")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_a_download_survives_a_broken_connection(weak: ObjectStore, wire: Wire, bucket: str, tmp_path: Path) -> None:
    content = os.urandom(100_000)
    weak.upload(content, f"s3://{bucket}/key")
    wire.requests.clear()
    wire.faults = [cut_after(50_000), cut_after(0)]
    weak.download(f"s3://{bucket}/key", tmp_path / "target")
    assert len(wire.requests) == 3
    assert (tmp_path / "target").read_bytes() == content


def test_a_storage_that_is_not_there_is_said_with_its_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(DataError, match=f"the object storage at {address} could not be reached"):
        read(ObjectStore(StorageConfig(endpoint_url=address)), "s3://bucket/key")


def test_missing_credentials_are_said(endpoint: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(DataError, match="needs credentials"):
        read(ObjectStore(StorageConfig(endpoint_url=endpoint)), f"s3://{bucket}/key")


def test_large_objects_go_and_come_in_parts_through_little_memory(
    weak: ObjectStore, wire: Wire, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuneward.data.s3.PART_BYTES", 5 << 20)
    monkeypatch.setattr("tuneward.data.s3.PARALLEL_PARTS", 1)
    source, uri = tmp_path / "source", f"s3://{bucket}/large"
    piece = os.urandom(1 << 20)
    with source.open("wb") as file:
        for number in range(22):
            file.write(bytes([number]) + piece)
    weak.upload(source, uri)
    assert sum("partNumber=" in line for line in wire.requests) == 5
    weak.download(uri, tmp_path / "target")
    assert sum("bytes=" in line for line in wire.requests) == 5
    assert (tmp_path / "target").read_bytes() == source.read_bytes()


def test_reading_holds_one_piece_at_a_time(bucket: str) -> None:
    """A server of its own, which makes its answer as it sends it, so that only the reader's memory counts."""
    size = 200 << 20
    piece = os.urandom(1 << 20)

    class Endless(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.send_header("ETag", '"one"')
            self.end_headers()
            for _ in range(size // len(piece)):
                self.wfile.write(piece)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        store = ObjectStore(StorageConfig(endpoint_url=f"http://127.0.0.1:{server.server_address[1]}"))
        pieces = store.read(f"s3://{bucket}/large")
        first = len(next(pieces))
        tracemalloc.start()
        assert first + sum(len(part) for part in pieces) == size
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "objects" / "bucket").mkdir(parents=True)
    return tmp_path / "objects"


def test_a_folder_can_stand_for_object_storage(folder: Path, tmp_path: Path) -> None:
    store = ObjectStore(StorageConfig(folder=folder))
    store.upload(b"one", "s3://bucket/a/one")
    (tmp_path / "two").write_bytes(b"two")
    store.upload(tmp_path / "two", "s3://bucket/a/b/two")
    store.upload(b"", "s3://bucket/a-old")
    assert read(store, "s3://bucket/a/one") == b"one"
    store.download("s3://bucket/a/b/two", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"two"
    assert [(info.uri, info.bytes) for info in store.list("s3://bucket/a")] == [
        ("s3://bucket/a/b/two", 3),
        ("s3://bucket/a/one", 3),
    ]
    assert [info.uri for info in store.list("s3://bucket/a/one")] == ["s3://bucket/a/one"]
    assert len(list(store.list("s3://bucket"))) == 3
    assert list(store.list("s3://bucket/none")) == []
    store.probe_write("s3://bucket/out")
    assert list((folder / "bucket" / "out").iterdir()) == []


def test_a_folder_is_not_left(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "bucket" / "link").symlink_to(tmp_path)
    store = ObjectStore(StorageConfig(folder=folder))
    for key in ("link/secret", "/etc/passwd", "//etc/passwd"):
        with pytest.raises(DataError):
            read(store, f"s3://bucket/{key}")
    with pytest.raises(DataError):
        store.upload(b"x", "s3://bucket/link/new")
    with pytest.raises(DataError, match="There is no bucket none"):
        store.upload(b"x", "s3://none/key")
    with pytest.raises(DataError, match="does not exist"):
        read(store, "s3://bucket/none")
    with pytest.raises(DataError):
        store.upload(b"x", "s3://bucket/" + "a" * 300)
    assert not (tmp_path / "new").exists()


def test_half_a_file_that_a_dead_process_left_in_a_folder_is_no_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bucket").mkdir()
    store = ObjectStore(StorageConfig(folder=tmp_path))
    store.upload(b"whole", "s3://bucket/logs/a")
    monkeypatch.setattr("tuneward.data.folder_buckets.Path.unlink", lambda *_, **__: None)
    monkeypatch.setattr("tuneward.data.folder_buckets.Path.rename", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.upload(b"half", "s3://bucket/logs/b")
    assert len(list((tmp_path / "bucket" / "logs").iterdir())) == 2
    assert [info.uri for info in store.list("s3://bucket/logs/")] == ["s3://bucket/logs/a"]
