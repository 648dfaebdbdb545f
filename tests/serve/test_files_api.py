"""`/v1/files` and `/v1/uploads`, judged by OpenAI's own client and by raw requests as other clients send them."""

from __future__ import annotations

import io
import json
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import openai
import pytest
from starlette.requests import Request
from tests.service import app_with

from tuneward.accounts.principal import DEFAULT_PROJECT, Principal
from tuneward.config import ServerConfig
from tuneward.config.server import LimitsConfig
from tuneward.serve.server import Server, bind
from tuneward.store.database import Database
from tuneward.store.tables import Project

ROWS = b"".join(json.dumps({"messages": [{"role": "user", "content": f"{n}*8?"}]}).encode() + b"\n" for n in range(10))
ROLES = ("viewer", "developer", "admin")


async def authenticate(request: Request) -> Principal:
    """Keys of the form PROJECT/ROLE."""
    project, role = request.headers["authorization"].removeprefix("Bearer ").split("/")
    return Principal(f"key_{role}", project, project, role)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def url(home: Path) -> Iterator[str]:
    config = ServerConfig(limits=LimitsConfig(upload_bytes=3 << 20))
    app = app_with(home, authenticate=authenticate, config=config)
    database: Database = app.state.services.database
    projects = [Project(id=name, name=name, account_id=name, created_at=0.0) for name in ("mine", "other")]
    database.write(lambda session: session.add_all(projects))
    with Server(app, bind("127.0.0.1", 0)) as server:
        yield f"{server.url}/v1"


def client_of(url: str, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key=key, max_retries=0)


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with client_of(url, "mine/developer") as made:
        yield made


@pytest.fixture
def raw(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, headers={"Authorization": "Bearer mine/developer"}) as made:
        yield made


def stored(home: Path) -> set[Path]:
    return {path for path in home.glob("projects/*/*/**/*") if path.is_file()}


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, "waited for a minute"


def form(*parts: tuple[str, bytes], boundary: str = "b0undary") -> bytes:
    """A multipart body; `parts` are the text after `form-data; ` and the content."""
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"
        for head, content in parts
    )
    return body + f"--{boundary}--\r\n".encode()


FILE = 'name="file"; filename="train.jsonl"'
FORM = {"Content-Type": "multipart/form-data; boundary=b0undary"}


def test_a_file_goes_up_and_comes_back(client: openai.OpenAI) -> None:
    made = client.files.create(file=("train.jsonl", ROWS), purpose="fine-tune")
    assert (made.object, made.bytes, made.filename, made.purpose) == ("file", len(ROWS), "train.jsonl", "fine-tune")
    assert (made.status, made.expires_at, made.status_details) == ("processed", None, None)
    assert made.id.startswith("file-")
    assert client.files.wait_for_processing(made.id).id == made.id
    assert client.files.content(made.id).read() == ROWS
    assert client.files.content(made.id).text == ROWS.decode()
    deleted = client.files.delete(made.id)
    assert (deleted.id, deleted.object, deleted.deleted) == (made.id, "file", True)
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(made.id)


def test_a_file_may_end_by_itself(client: openai.OpenAI) -> None:
    made = client.files.create(
        file=("a.txt", b"x"), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert made.expires_at == pytest.approx(made.created_at + 3600, abs=1)
    for seconds in (5, 2592001):
        with pytest.raises(openai.BadRequestError) as caught:
            client.files.create(
                file=("a.txt", b"x"), purpose="user_data", expires_after={"anchor": "created_at", "seconds": seconds}
            )
        assert caught.value.code == "invalid_value"


def test_pages_of_the_list_follow_each_other(url: str) -> None:
    with client_of(url, "other/developer") as client:
        made = [client.files.create(file=(f"{n}.txt", b"x"), purpose="evals").id for n in range(5)]
        client.files.create(file=("train.jsonl", ROWS), purpose="fine-tune")
        assert [file.id for file in client.files.list(limit=2, purpose="evals")] == made[::-1]
        assert [file.id for file in client.files.list(limit=2, purpose="evals", order="asc")] == made
        page = client.files.list(limit=3)
        assert (page.has_more, len(page.data)) == (True, 3)
        with pytest.raises(openai.NotFoundError):
            client.files.list(after="file-nothing")
        for query in ({"limit": 0}, {"limit": 10001}, {"order": "up"}, {"purpose": "fun\0"}):
            with pytest.raises(openai.BadRequestError):
                client.files.list(**query)  # type: ignore[arg-type]


def test_the_list_names_its_first_and_last(raw: httpx.Client) -> None:
    raw.post("/files", content=form((FILE, ROWS), ('name="purpose"', b"fine-tune")), headers=FORM)
    page = raw.get("/files").json()
    assert page["object"] == "list"
    assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])


def test_the_file_may_come_first_in_chunks_without_a_length(raw: httpx.Client) -> None:
    body = form(
        (FILE, ROWS),
        ('name="purpose"', b"fine-tune"),
        ('name="expires_after[anchor]"', b"created_at"),
        ('name="expires_after[seconds]"', b"3600"),
    )
    for size in (1, 7, 4096):
        chunks = (body[start : start + size] for start in range(0, len(body), size))
        answer = raw.post("/files", content=chunks, headers=FORM)
        assert answer.request.headers["transfer-encoding"] == "chunked"
        assert answer.status_code == 200, answer.text
        made = answer.json()
        assert (made["purpose"], made["bytes"]) == ("fine-tune", len(ROWS))
        assert raw.get(f"/files/{made['id']}/content").content == ROWS


def test_content_that_looks_like_a_boundary_comes_through(raw: httpx.Client) -> None:
    content = b"\r\n--b0undar\r\n--b0undar--\r\n--\r\n" + bytes(range(256)) * 500 + b"\r\n--b0unda"
    body = form(('name="file"; filename="a.bin"', content), ('name="purpose"', b"user_data"))
    for size in (3, 1000, len(body)):
        chunks = (body[start : start + size] for start in range(0, len(body), size))
        made = raw.post("/files", content=chunks, headers=FORM).json()
        assert raw.get(f"/files/{made['id']}/content").content == content


BAD_FORMS = {
    "no form": (b"{}", {"Content-Type": "application/json"}),
    "no type": (b"", {}),
    "no boundary": (form((FILE, ROWS)), {"Content-Type": "multipart/form-data"}),
    "a long boundary": (form((FILE, ROWS)), {"Content-Type": "multipart/form-data; boundary=" + "b" * 5000}),
    "another boundary": (form((FILE, ROWS), boundary="other"), FORM),
    "no end": (form((FILE, ROWS), ('name="purpose"', b"fine-tune"))[:-8], FORM),
    "no last boundary": (form((FILE, ROWS), ('name="purpose"', b"fine-tune"))[:-4] + b"\r\n", FORM),
    "no file": (form(('name="purpose"', b"fine-tune")), FORM),
    "no purpose": (form((FILE, ROWS)), FORM),
    "a purpose of the server": (form((FILE, ROWS), ('name="purpose"', b"fine-tune-results")), FORM),
    "a purpose of odd bytes": (form((FILE, ROWS), ('name="purpose"', b"\0\xff")), FORM),
    "two files": (form((FILE, ROWS), (FILE, ROWS), ('name="purpose"', b"fine-tune")), FORM),
    "two purposes": (form((FILE, ROWS), *[('name="purpose"', b"fine-tune")] * 2), FORM),
    "no name of the file": (form(('name="file"', ROWS), ('name="purpose"', b"fine-tune")), FORM),
    "no name of a part": (form(("filename=a", ROWS)), FORM),
    "many fields": (form(*[(f'name="f{n}"', b"") for n in range(50)]), FORM),
    "a large field": (form(('name="purpose"', b"x" * 100_000), (FILE, ROWS)), FORM),
    "a large header": (form(('name="' + "x" * 100_000 + '"', b"")), FORM),
    "not a lifetime": (
        form((FILE, ROWS), ('name="purpose"', b"evals"), ('name="expires_after[seconds]"', b"3600")),
        FORM,
    ),
    "a lifetime of odd digits": (
        form(
            (FILE, ROWS),
            ('name="purpose"', b"evals"),
            ('name="expires_after[anchor]"', b"created_at"),
            ('name="expires_after[seconds]"', "٣٦٠٠".encode()),
        ),
        FORM,
    ),
}


@pytest.mark.parametrize("case", BAD_FORMS)
def test_forms_that_cannot_be_used_are_refused_and_leave_nothing(raw: httpx.Client, home: Path, case: str) -> None:
    before = stored(home)
    body, headers = BAD_FORMS[case]
    answer = raw.post("/files", content=body, headers=headers)
    assert answer.status_code == 400, answer.text
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert stored(home) == before


def test_rows_that_are_none_are_refused_with_their_line(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=r'Invalid file format\. Line 1, key "messages"') as caught:
        client.files.create(file=("train.jsonl", b'{"prompt": "7*8?"}'), purpose="fine-tune")
    assert (caught.value.param, caught.value.code) == ("file", "invalid_file_format")
    with pytest.raises(openai.BadRequestError, match=r"\.jsonl"):
        client.files.create(file=("train.csv", ROWS), purpose="fine-tune")


def test_a_file_that_is_too_large_is_refused_with_words(client: openai.OpenAI, home: Path) -> None:
    before = stored(home)
    with pytest.raises(openai.BadRequestError, match="larger than the 3,145,728 bytes"):
        client.files.create(file=("a.bin", bytes((3 << 20) + 1)), purpose="user_data")
    assert stored(home) == before
    assert client.files.create(file=("a.bin", bytes(3 << 20)), purpose="user_data").bytes == 3 << 20


def test_a_client_that_goes_away_leaves_nothing(url: str, home: Path) -> None:
    before = stored(home)
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(
            b"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer mine/developer\r\n"
            b"Content-Type: multipart/form-data; boundary=b0undary\r\nContent-Length: 3000000\r\n\r\n"
            + form((FILE, ROWS * 100))[:-14]
        )
        wait_until(lambda: stored(home) != before)
    wait_until(lambda: stored(home) == before)


@pytest.mark.parametrize(
    "name", ['a"; x="b.txt', "ü 日本.txt", "a%0d%0aX-Evil: 1.txt", "semi;colon'.txt", "../../etc/passwd"]
)
def test_odd_names_cannot_add_to_the_headers(client: openai.OpenAI, name: str) -> None:
    made = client.files.create(file=(name, b"x"), purpose="user_data")
    with client.files.with_streaming_response.content(made.id) as answer:
        disposition = answer.headers["content-disposition"]
        assert disposition.startswith("attachment; filename*=UTF-8''")
        assert not set(disposition.partition("''")[2]) & set("\"'; /\\\r\n")
        assert "x-evil" not in answer.headers
        assert (answer.headers["content-type"], answer.headers["content-length"]) == ("application/octet-stream", "1")
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_another_project_finds_nothing(url: str, client: openai.OpenAI) -> None:
    made = client.files.create(file=("train.jsonl", ROWS), purpose="fine-tune")
    with client_of(url, "other/admin") as other:
        for call in (other.files.retrieve, other.files.content, other.files.delete):
            with pytest.raises(openai.NotFoundError) as caught:
                call(made.id)
            assert caught.value.message.count(made.id) == 1
    assert client.files.retrieve(made.id).id == made.id


@pytest.mark.parametrize("path", ["..%2f..%2fetc%2fpasswd", "file-%00", "%ff%fe", "file-%F0%9F%98%80", "a" * 3000])
def test_ids_that_are_none_find_nothing(raw: httpx.Client, path: str) -> None:
    for answer in (raw.get(f"/files/{path}"), raw.get(f"/files/{path}/content"), raw.delete(f"/files/{path}")):
        assert answer.status_code in (400, 404), answer.text


def test_a_viewer_reads_and_does_not_write(url: str, client: openai.OpenAI) -> None:
    made = client.files.create(file=("train.jsonl", ROWS), purpose="fine-tune")
    with client_of(url, "mine/viewer") as viewer:
        assert viewer.files.content(made.id).read() == ROWS
        assert made.id in [file.id for file in viewer.files.list()]
        with pytest.raises(openai.PermissionDeniedError):
            viewer.files.create(file=("train.jsonl", ROWS), purpose="fine-tune")
        with pytest.raises(openai.PermissionDeniedError):
            viewer.files.delete(made.id)
        with pytest.raises(openai.PermissionDeniedError):
            viewer.uploads.create(bytes=1, filename="a.jsonl", mime_type="text/jsonl", purpose="fine-tune")


def test_a_file_goes_up_in_parts(client: openai.OpenAI) -> None:
    content = ROWS * 100
    done = client.uploads.upload_file_chunked(
        file=content, filename="train.jsonl", bytes=len(content), mime_type="text/jsonl", purpose="fine-tune",
        part_size=20_000,
    )  # fmt: skip
    assert (done.object, done.status, done.bytes) == ("upload", "completed", len(content))
    assert done.expires_at == pytest.approx(done.created_at + 3600, abs=1)
    assert done.file is not None
    assert done.file.id == client.files.retrieve(done.file.id).id
    assert client.files.content(done.file.id).read() == content


def test_steps_of_an_upload_one_by_one(client: openai.OpenAI, home: Path) -> None:
    upload = client.uploads.create(
        bytes=len(ROWS), filename="train.jsonl", mime_type="text/jsonl", purpose="fine-tune",
        expires_after={"anchor": "created_at", "seconds": 7200},
    )  # fmt: skip
    assert (upload.status, upload.file, upload.filename, upload.purpose) == (
        "pending", None, "train.jsonl", "fine-tune",
    )  # fmt: skip
    second = client.uploads.parts.create(upload.id, data=io.BytesIO(ROWS[50:]))
    first = client.uploads.parts.create(upload.id, data=ROWS[:50])
    assert (first.object, first.upload_id) == ("upload.part", upload.id)
    with pytest.raises(openai.BadRequestError, match="bytes together"):
        client.uploads.complete(upload.id, part_ids=[first.id])
    with pytest.raises(openai.BadRequestError, match="digest"):
        client.uploads.complete(upload.id, part_ids=[first.id, second.id], md5="0" * 32)
    done = client.uploads.complete(upload.id, part_ids=[first.id, second.id])
    assert done.file is not None
    assert client.files.content(done.file.id).read() == ROWS
    assert done.file.expires_at == pytest.approx(done.file.created_at + 7200, abs=1)
    assert client.uploads.complete(upload.id, part_ids=[first.id, second.id]).file == done.file
    with pytest.raises(openai.BadRequestError, match="is completed"):
        client.uploads.cancel(upload.id)
    assert not any(upload.id in str(path) for path in stored(home))


def test_a_cancelled_upload_is_over(url: str, client: openai.OpenAI) -> None:
    upload = client.uploads.create(bytes=1, filename="a.jsonl", mime_type="text/jsonl", purpose="fine-tune")
    with client_of(url, "other/admin") as other, pytest.raises(openai.NotFoundError):
        other.uploads.cancel(upload.id)
    assert client.uploads.cancel(upload.id).status == "cancelled"
    with pytest.raises(openai.BadRequestError, match="is cancelled"):
        client.uploads.parts.create(upload.id, data=b"x")


BAD_UPLOADS = {
    "nothing": b"",
    "no object": b"[]",
    "a fraction": b'{"bytes": 1.5, "filename": "a.jsonl", "mime_type": "t", "purpose": "fine-tune"}',
    "text": b'{"bytes": "1", "filename": "a.jsonl", "mime_type": "t", "purpose": "fine-tune"}',
    "huge": b'{"bytes": 1' + b"0" * 400 + b', "filename": "a.jsonl", "mime_type": "t", "purpose": "fine-tune"}',
    "NUL": b'{"bytes": 1, "filename": "a\\u0000.jsonl", "mime_type": "t", "purpose": "fine-tune"}',
    "half a character": b'{"bytes": 1, "filename": "a\\ud800.jsonl", "mime_type": "t", "purpose": "fine-tune"}',
    "an odd type": b'{"bytes": 1, "filename": "a.jsonl", "mime_type": "\\u0000", "purpose": "fine-tune"}',
    "an odd purpose": b'{"bytes": 1, "filename": "a.jsonl", "mime_type": "t", "purpose": "\\ud800"}',
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("case", BAD_UPLOADS)
def test_bodies_that_make_no_upload_are_refused(raw: httpx.Client, case: str) -> None:
    answer = raw.post("/uploads", content=BAD_UPLOADS[case], headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text
    upload = raw.post(
        "/uploads", json={"bytes": 1, "filename": "a.jsonl", "mime_type": "t", "purpose": "fine-tune"}
    ).json()
    for body in (BAD_UPLOADS[case], b'{"part_ids": ["\\ud800\\u0000"]}', b'{"part_ids": []}', b'{"part_ids": null}'):
        answer = raw.post(
            f"/uploads/{upload['id']}/complete", content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 400, answer.text


def test_a_part_without_data_is_refused(raw: httpx.Client) -> None:
    made = raw.post("/uploads", json={"bytes": 9, "filename": "a.txt", "mime_type": "t", "purpose": "evals"}).json()
    for body in (form(("name=other", b"x")), form(('name="data"; filename="upload"', b"")), b"nonsense"):
        answer = raw.post(f"/uploads/{made['id']}/parts", content=body, headers=FORM)
        assert answer.status_code == 400, answer.text


def test_random_content_of_some_megabytes_is_the_same_afterwards(client: openai.OpenAI) -> None:
    content = secrets.token_bytes(2_500_000)
    made = client.files.create(file=io.BytesIO(content), purpose="user_data")
    with client.files.with_streaming_response.content(made.id) as answer:
        assert b"".join(answer.iter_bytes()) == content


def test_a_server_removes_what_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = app_with(tmp_path)
    services = app.state.services
    made = services.files.add(
        DEFAULT_PROJECT, purpose="user_data", filename="a.txt", content=[b"x"], expires_after_s=3600
    )
    path = services.files.path(DEFAULT_PROJECT, made.id)
    upload = services.uploads.create(
        DEFAULT_PROJECT, purpose="user_data", filename="a.txt", mime_type="text/plain", size_bytes=1
    )
    services.uploads.receive(DEFAULT_PROJECT, upload.id)
    late = time.time() + 3601
    monkeypatch.setattr("tuneward.jobs.files.time.time", lambda: late)
    with Server(app, bind("127.0.0.1", 0)):
        wait_until(lambda: not path.exists() and not list(tmp_path.glob("projects/*/uploads/*")))
