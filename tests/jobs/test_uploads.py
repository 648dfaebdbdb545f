"""Files in parts: any order of arrival, one order at the end, and nothing half done whatever happens between."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tuneward.jobs.files import FileService
from tuneward.jobs.problems import ConflictError, InvalidRequestError, ObjectNotFoundError
from tuneward.jobs.upload_rows import status_of
from tuneward.jobs.uploads import LARGEST_BYTES, UploadService
from tuneward.store.database import Database
from tuneward.store.tables import File, Project, Upload

MINE, OTHER = "proj_mine", "proj_other"
ROW = json.dumps({"messages": [{"role": "user", "content": "7*8?"}]}).encode() + b"\n"


ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path) -> str:
    """SQLite, and PostgreSQL where a test says `ON_BOTH`."""
    if getattr(request, "param", "sqlite") == "postgresql":
        url: str = request.getfixturevalue("postgres_url")
        return url
    shutil.copy(sqlite_template, tmp_path / "tuneward.db")
    return f"sqlite:///{tmp_path / 'tuneward.db'}"


@pytest.fixture(autouse=True)
def projects(database: Database) -> None:
    rows = [Project(id=name, name=name, account_id=name, created_at=0.0) for name in (MINE, OTHER)]
    database.write(lambda session: session.add_all(rows))


@pytest.fixture
def files(database: Database, tmp_path: Path) -> FileService:
    return FileService(database, tmp_path, largest_bytes=1000)


@pytest.fixture
def uploads(database: Database, tmp_path: Path, files: FileService) -> UploadService:
    return UploadService(database, tmp_path, files)


def begin(uploads: UploadService, size_bytes: int, *, filename: str = "train.jsonl") -> Upload:
    return uploads.create(
        MINE, purpose="fine-tune", filename=filename, mime_type="text/jsonl", size_bytes=size_bytes
    )  # fmt: skip


def send(uploads: UploadService, upload: Upload, content: bytes) -> str:
    with uploads.receive(MINE, upload.id) as incoming:
        incoming.write(content)
        return uploads.keep_part(MINE, upload.id, incoming).id


def parts_on_disk(home: Path) -> list[Path]:
    return [path for path in home.glob("projects/*/uploads/**/*") if path.is_file()]


@ON_BOTH
def test_parts_sent_in_parallel_become_one_file_in_the_order_given(
    uploads: UploadService, files: FileService, tmp_path: Path
) -> None:
    content = ROW * 100
    pieces = [content[start : start + 700] for start in range(0, len(content), 700)]
    upload = begin(uploads, len(content))
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda piece: send(uploads, upload, piece), pieces))
    done, file = uploads.complete(MINE, upload.id, ids, md5=hashlib.md5(content).hexdigest())
    assert (done.status, done.file_id) == ("completed", file.id)
    assert files.path(MINE, file.id).read_bytes() == content
    assert (file.bytes, file.filename, file.purpose) == (len(content), "train.jsonl", "fine-tune")
    assert parts_on_disk(tmp_path) == []


def test_a_part_sent_twice_counts_once(uploads: UploadService, files: FileService) -> None:
    upload = begin(uploads, len(ROW))
    send(uploads, upload, ROW[:9])
    ids = [send(uploads, upload, ROW[:9]), send(uploads, upload, ROW[9:])]
    _, file = uploads.complete(MINE, upload.id, ids)
    assert files.path(MINE, file.id).read_bytes() == ROW


@ON_BOTH
def test_completing_again_gives_the_same_file(uploads: UploadService, files: FileService) -> None:
    upload = begin(uploads, len(ROW))
    ids = [send(uploads, upload, ROW)]
    _, first = uploads.complete(MINE, upload.id, ids)
    _, second = uploads.complete(MINE, upload.id, ids)
    assert first.id == second.id
    assert len(files.list(MINE).items) == 1
    with pytest.raises(ConflictError, match="is completed"):
        uploads.complete(MINE, upload.id, ["part_other"])


def test_calls_that_complete_at_the_same_time_make_one_file(uploads: UploadService, files: FileService) -> None:
    upload = begin(uploads, len(ROW))
    ids = [send(uploads, upload, ROW[:9]), send(uploads, upload, ROW[9:])]
    keep = files.keep

    def overtaken(*arguments: Any, **more: Any) -> File:
        files.keep = keep  # type: ignore[method-assign]
        uploads.complete(MINE, upload.id, ids)
        return keep(*arguments, **more)

    files.keep = overtaken  # type: ignore[method-assign]
    _, file = uploads.complete(MINE, upload.id, ids)
    assert [found.id for found in files.list(MINE).items] == [file.id]


@pytest.mark.parametrize(
    ("choose", "reason"),
    [
        (lambda ids: ids[:1], "9 bytes together"),
        (lambda ids: [*ids, ids[0]], "named twice"),
        (lambda ids: [*ids, "part_\0\ud800"], "is no part of"),
        (lambda _ids: [], "0 bytes together"),
    ],
)
def test_parts_that_do_not_make_the_whole_are_refused(
    uploads: UploadService, tmp_path: Path, choose: object, reason: str
) -> None:
    upload = begin(uploads, len(ROW))
    ids = [send(uploads, upload, ROW[:9]), send(uploads, upload, ROW[9:])]
    with pytest.raises(InvalidRequestError, match="part_ids") as caught:
        uploads.complete(MINE, upload.id, choose(ids))  # type: ignore[operator]
    assert reason in caught.value.message
    assert len(parts_on_disk(tmp_path)) == 2
    uploads.complete(MINE, upload.id, ids)


def test_parts_in_another_order_than_the_digest_says_are_refused(
    uploads: UploadService, files: FileService, tmp_path: Path
) -> None:
    upload = begin(uploads, len(ROW))
    ids = [send(uploads, upload, ROW[:9]), send(uploads, upload, ROW[9:])]
    with pytest.raises(InvalidRequestError) as caught:
        uploads.complete(MINE, upload.id, ids[::-1], md5=hashlib.md5(ROW).hexdigest())
    assert caught.value.param == "md5"
    assert files.list(MINE).items == []
    assert list(tmp_path.glob("projects/*/files/*")) == []


def test_content_that_is_no_training_data_is_refused_at_the_end(uploads: UploadService) -> None:
    upload = begin(uploads, 5)
    with pytest.raises(InvalidRequestError, match="Invalid file format"):
        uploads.complete(MINE, upload.id, [send(uploads, upload, b"{oops")])


def test_an_upload_may_be_larger_than_a_file_at_once(uploads: UploadService, files: FileService) -> None:
    content = ROW * 30
    with pytest.raises(InvalidRequestError):
        files.add(MINE, purpose="fine-tune", filename="a.jsonl", content=[content])
    upload = begin(uploads, len(content))
    _, file = uploads.complete(MINE, upload.id, [send(uploads, upload, content)])
    assert file.bytes == len(content)


@pytest.mark.parametrize(
    "change",
    [
        {"size_bytes": 0},
        {"size_bytes": LARGEST_BYTES + 1},
        {"size_bytes": 10**40},
        {"purpose": "fine-tune-results"},
        {"filename": "train.csv"},
        {"mime_type": "a\0b"},
        {"file_expires_after_s": 5},
    ],
)
def test_what_could_not_become_a_file_is_refused_at_the_start(uploads: UploadService, change: dict[str, int]) -> None:
    usual = {"purpose": "fine-tune", "filename": "a.jsonl", "mime_type": "text/jsonl", "size_bytes": 10}
    with pytest.raises(InvalidRequestError):
        uploads.create(MINE, **(usual | change))  # type: ignore[arg-type]


@ON_BOTH
def test_parts_beyond_what_was_announced_are_refused(uploads: UploadService, tmp_path: Path) -> None:
    upload = begin(uploads, 10)
    for content in (b"x" * 11, b""):
        with pytest.raises(InvalidRequestError):
            send(uploads, upload, content)
    for _ in range(3):
        send(uploads, upload, b"x" * 10)
    with pytest.raises(InvalidRequestError):
        send(uploads, upload, b"x")
    assert len(parts_on_disk(tmp_path)) == 3


def test_a_part_has_a_largest_size(uploads: UploadService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuneward.jobs.uploads.LARGEST_PART_BYTES", 100)
    with pytest.raises(InvalidRequestError, match="larger than the 100 bytes"):
        send(uploads, begin(uploads, 1000), b"x" * 101)
    assert parts_on_disk(tmp_path) == []


@ON_BOTH
def test_a_cancelled_upload_takes_nothing_more(uploads: UploadService, tmp_path: Path) -> None:
    upload = begin(uploads, len(ROW))
    part = send(uploads, upload, ROW)
    assert uploads.cancel(MINE, upload.id).status == uploads.cancel(MINE, upload.id).status == "cancelled"
    assert parts_on_disk(tmp_path) == []
    with pytest.raises(ConflictError, match="is cancelled"):
        send(uploads, upload, ROW)
    with pytest.raises(ConflictError, match="is cancelled"):
        uploads.complete(MINE, upload.id, [part])


def test_a_completed_upload_cannot_be_cancelled(uploads: UploadService) -> None:
    upload = begin(uploads, len(ROW))
    uploads.complete(MINE, upload.id, [send(uploads, upload, ROW)])
    with pytest.raises(ConflictError, match="is completed"):
        uploads.cancel(MINE, upload.id)


def test_a_part_that_comes_in_while_the_upload_is_cancelled_is_not_kept(uploads: UploadService, tmp_path: Path) -> None:
    upload = begin(uploads, len(ROW))
    with uploads.receive(MINE, upload.id) as incoming:
        incoming.write(ROW)
        uploads._database.write(lambda session: setattr(session.get(Upload, upload.id), "status", "cancelled"))
        with pytest.raises(ConflictError):
            uploads.keep_part(MINE, upload.id, incoming)
    assert parts_on_disk(tmp_path) == []


@ON_BOTH
def test_an_upload_ends_after_an_hour(uploads: UploadService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = begin(uploads, len(ROW))
    part = send(uploads, upload, ROW)
    assert upload.expires_at == pytest.approx(upload.created_at + 3600)
    assert (uploads.sweep(), status_of(upload), len(parts_on_disk(tmp_path))) == (0, "pending", 1)
    late = time.time() + 3601
    monkeypatch.setattr("tuneward.jobs.uploads.time.time", lambda: late)
    assert status_of(upload) == "expired"
    with pytest.raises(ConflictError, match="is expired"):
        uploads.complete(MINE, upload.id, [part])
    assert uploads.sweep() == 1
    assert parts_on_disk(tmp_path) == []


@ON_BOTH
def test_parts_that_a_crash_left_after_the_end_are_swept(uploads: UploadService, tmp_path: Path) -> None:
    upload = begin(uploads, len(ROW))
    part = send(uploads, upload, ROW)
    uploads._clear = lambda *_names: None  # type: ignore[method-assign]
    uploads.complete(MINE, upload.id, [part])
    assert len(parts_on_disk(tmp_path)) == 1
    del uploads._clear
    uploads.sweep()
    assert parts_on_disk(tmp_path) == []


@ON_BOTH
def test_another_projects_upload_looks_like_a_missing_one(uploads: UploadService) -> None:
    upload = begin(uploads, len(ROW))
    for call in (uploads.receive, uploads.cancel):
        with pytest.raises(ObjectNotFoundError):
            call(OTHER, upload.id)
    with pytest.raises(ObjectNotFoundError):
        uploads.complete(OTHER, upload.id, [])
    with pytest.raises(ObjectNotFoundError):
        uploads.receive(MINE, "../../etc")
