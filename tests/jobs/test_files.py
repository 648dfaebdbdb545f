"""Files of projects: stored as a whole or not at all, seen by their project alone, gone when their time is over."""

from __future__ import annotations

import errno
import hashlib
import json
import resource
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tuneward.errors import StoreError
from tuneward.jobs.files import FileService
from tuneward.jobs.incoming import Incoming
from tuneward.jobs.problems import ConflictError, InvalidRequestError, ObjectNotFoundError
from tuneward.store.database import Database
from tuneward.store.tables import File, Job, Project

ROW = json.dumps({"messages": [{"role": "user", "content": "7*8?"}]}).encode() + b"\n"
MINE, OTHER = "proj_mine", "proj_other"


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
    return FileService(database, tmp_path)


def add(files: FileService, content: bytes = ROW, *, name: str = "train.jsonl", purpose: str = "fine-tune") -> File:
    return files.add(MINE, purpose=purpose, filename=name, content=[content])


def stored(home: Path) -> list[Path]:
    return [path for path in home.glob("projects/*/files/*") if path.is_file()]


@ON_BOTH
def test_a_file_is_stored_with_its_size_and_digest(files: FileService) -> None:
    pieces = [ROW[:5], ROW[5:], ROW]
    made = files.add(MINE, purpose="fine-tune", filename="train.jsonl", content=pieces)
    found = files.get(MINE, made.id)
    assert (found.bytes, found.sha256) == (2 * len(ROW), hashlib.sha256(ROW + ROW).hexdigest())
    assert (found.status, found.purpose, found.filename) == ("processed", "fine-tune", "train.jsonl")
    assert files.path(MINE, made.id).read_bytes() == ROW + ROW


@ON_BOTH
def test_another_projects_file_looks_like_a_missing_one(files: FileService) -> None:
    made = add(files)
    for look in (files.get, files.path, files.delete):
        with pytest.raises(ObjectNotFoundError):
            look(OTHER, made.id)
    assert files.list(OTHER).items == []
    with pytest.raises(ObjectNotFoundError):
        files.list(OTHER, after_id=made.id)


@ON_BOTH
def test_no_id_leads_out_of_the_folder(files: FileService) -> None:
    add(files)
    for file_id in ("file-nothing", "../../../etc/passwd", "file-\0", "file-\ud800", ""):
        for look in (files.get, files.path, files.delete):
            with pytest.raises(ObjectNotFoundError):
                look(MINE, file_id)


@ON_BOTH
def test_pages_follow_each_other_in_either_order(files: FileService) -> None:
    made = [add(files, name=f"{number}.jsonl").id for number in range(5)]
    for order, expected in (("asc", made), ("desc", made[::-1])):
        first = files.list(MINE, limit=2, order=order)
        second = files.list(MINE, limit=2, order=order, after_id=first.items[-1].id)
        last = files.list(MINE, limit=2, order=order, after_id=second.items[-1].id)
        assert [file.id for page in (first, second, last) for file in page.items] == expected
        assert [page.has_more for page in (first, second, last)] == [True, True, False]


def test_a_list_can_be_of_one_purpose(files: FileService) -> None:
    add(files)
    result = add(files, b"step\n", name="step_metrics.csv", purpose="fine-tune-results")
    assert [file.id for file in files.list(MINE, purpose="fine-tune-results").items] == [result.id]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"prompt": "7*8?"}\n', 'Line 1, key "messages": messages is missing'),
        (ROW + b'\n{"messages": "7*8?"}\n', 'Line 3, key "messages": messages is "7*8?"'),
        (ROW + b"{oops\n", "Line 2: the line is not valid JSON"),
        (b"\xff\xfe{\x00", "Line 1: the file looks like UTF-16"),
        (b"\n\n", "The file holds no rows"),
    ],
)
def test_first_lines_that_are_no_rows_are_refused(
    files: FileService, tmp_path: Path, content: bytes, reason: str
) -> None:
    with pytest.raises(InvalidRequestError, match="Invalid file format") as caught:
        add(files, content)
    assert reason in caught.value.message
    assert stored(tmp_path) == []


def test_only_the_first_lines_are_judged_and_only_for_training(files: FileService) -> None:
    add(files, ROW * 10 + b"{oops\n")
    add(files, b"{oops\n", name="notes.txt", purpose="user_data")


@pytest.mark.parametrize(
    "name", ["train.json", "train.jsonl.exe", "", "..", "a/", "a\nb.jsonl", "a\0.jsonl", "a" * 300]
)
def test_names_that_cannot_be_are_refused(files: FileService, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequestError):
        add(files, name=name)
    assert stored(tmp_path) == []


def test_of_a_path_only_the_last_part_is_kept(files: FileService) -> None:
    assert add(files, name="../../etc/cron.d/train.jsonl").filename == "train.jsonl"
    assert add(files, name="C:\\data\\ütf.JSONL").filename == "ütf.JSONL"


def test_what_is_too_large_is_refused_and_leaves_nothing(database: Database, tmp_path: Path) -> None:
    files = FileService(database, tmp_path, largest_bytes=100)
    with pytest.raises(InvalidRequestError) as caught:
        files.add(MINE, purpose="user_data", filename="a", content=(b"x" * 30 for _ in range(4)))
    assert (caught.value.code, caught.value.param) == ("file_too_large", "file")
    assert stored(tmp_path) == []
    files.add(MINE, purpose="user_data", filename="a", content=[b"x" * 100])


def test_a_full_disk_is_said_and_leaves_nothing(files: FileService, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    files.get(MINE, add(files).id)  # the database has its pages by now
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(StoreError, match="disk is full"):
            files.add(MINE, purpose="user_data", filename="a", content=(b"x" * 4096 for _ in range(1000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(stored(tmp_path)) == len(files.list(MINE).items) == 1


def test_a_disk_that_cannot_sync_leaves_nothing(
    files: FileService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("tuneward.jobs.incoming.os.fsync", refuse)
    with pytest.raises(StoreError, match="Input/output error"):
        add(files)
    assert stored(tmp_path) == []
    assert files.list(MINE).items == []


def test_a_sender_that_breaks_off_leaves_nothing(files: FileService, tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield ROW
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        files.add(MINE, purpose="fine-tune", filename="a.jsonl", content=broken())
    assert stored(tmp_path) == []


@ON_BOTH
def test_a_row_that_is_refused_takes_the_content_with_it(files: FileService, tmp_path: Path) -> None:
    def refuse(_session: object, _file: File) -> None:
        raise ConflictError("no")

    with files.receive(MINE) as incoming:
        incoming.write(b"x")
        with pytest.raises(ConflictError):
            files.keep(MINE, incoming, purpose="user_data", filename="a", also=refuse)
    assert stored(tmp_path) == []
    assert files.list(MINE).items == []


@pytest.mark.parametrize("seconds", [0, -1, 3599, 2592001])
def test_lifetimes_have_a_range(files: FileService, seconds: int) -> None:
    with pytest.raises(InvalidRequestError):
        files.add(MINE, purpose="user_data", filename="a", content=[b"x"], expires_after_s=seconds)


@ON_BOTH
def test_a_file_whose_time_is_over_looks_missing_and_is_swept(
    files: FileService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = add(files)
    made = files.add(MINE, purpose="user_data", filename="a", content=[b"x"], expires_after_s=3600)
    assert made.expires_at == pytest.approx(made.created_at + 3600)
    assert files.sweep() == 0
    late = time.time() + 3601
    monkeypatch.setattr("tuneward.jobs.files.time.time", lambda: late)
    for look in (files.get, files.path, files.delete):
        with pytest.raises(ObjectNotFoundError):
            look(MINE, made.id)
    assert [file.id for file in files.list(MINE).items] == [kept.id]
    assert files.sweep() == 1
    assert [path.name for path in stored(tmp_path)] == [kept.id]


def test_what_a_dead_process_left_half_received_is_swept(
    files: FileService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "projects" / MINE / "files"
    with Incoming(folder, "file-new", largest_bytes=10):
        assert files.sweep() == 0
        late = time.time() + 7 * 3600
        monkeypatch.setattr("tuneward.jobs.files.time.time", lambda: late)
        assert files.sweep() == 1
        assert stored(tmp_path) == []


@ON_BOTH
def test_content_that_no_row_came_for_is_swept_when_nobody_can_be_at_it(
    files: FileService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = add(files)
    with files.receive(MINE) as incoming:
        incoming.write(ROW)
        left = incoming.keep()  # where a process may die
    assert files.sweep() == 0
    late = time.time() + 7 * 3600
    monkeypatch.setattr("tuneward.jobs.files.time.time", lambda: late)
    assert files.sweep() == 1
    assert not left.exists()
    assert [path.name for path in stored(tmp_path)] == [kept.id]


def test_a_deleted_file_is_gone_from_list_and_disk(files: FileService, tmp_path: Path) -> None:
    made = add(files)
    files.delete(MINE, made.id)
    with pytest.raises(ObjectNotFoundError):
        files.get(MINE, made.id)
    assert stored(tmp_path) == []


@ON_BOTH
@pytest.mark.parametrize("place", ["training", "validation"])
def test_a_file_stays_while_a_job_that_has_not_ended_needs_it(
    files: FileService, database: Database, place: str
) -> None:
    used, free = add(files), add(files)
    source, unrelated = {"kind": "file", "file_id": used.id}, {"kind": "uri", "uri": "s3://bucket/key"}
    spec = {"training": unrelated, "validation": [unrelated]}
    spec[place] = source if place == "training" else [unrelated, source]
    job = Job(
        id="j1", project_id=MINE, created_by="key", name="mine", state="queued", dialect="openai", model="m",
        spec=spec, request={}, created_at=0.0, updated_at=0.0, phases={}, progress={}, result_files=[],
    )  # fmt: skip
    database.write(lambda session: session.add(job))
    files.delete(MINE, free.id)
    with pytest.raises(ConflictError, match="used by job mine"):
        files.delete(MINE, used.id)
    assert files.path(MINE, used.id).read_bytes() == ROW

    def end(session: object) -> None:
        session.get(Job, "j1").state = "succeeded"  # type: ignore[attr-defined]

    database.write(end)
    files.delete(MINE, used.id)
