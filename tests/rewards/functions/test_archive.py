"""Archives from strangers: nothing is written outside the folder, and no small archive becomes a large folder."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.rewards.functions.archives import archive

from tuneward.rewards.functions import InvalidFunctionError
from tuneward.rewards.functions import archive as limits
from tuneward.rewards.functions.archive import list_files, pack_file, unpack


def zipped(*entries: tuple[str, bytes], kind: int = stat.S_IFREG, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive with these entries, whatever their names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as out:
        for name, content in entries:
            info = zipfile.ZipInfo("placeholder")
            info.filename = name  # past the clean-up of the constructor
            info.external_attr = (kind | 0o644) << 16
            info.compress_type = method
            out.writestr(info, content)
    return buffer.getvalue()


def encrypted() -> bytes:
    data = bytearray(zipped(("a.py", b"x = 1")))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    return bytes(data)


def claiming_little() -> bytes:
    """One entry of 4 MiB whose headers say 10 bytes."""
    data = bytearray(zipped(("a.py", bytes(4 << 20))))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", data, data.index(signature) + offset, 10)
    return bytes(data)


def damaged() -> bytes:
    data = bytearray(zipped(("a.py", b"x = 1"), method=zipfile.ZIP_STORED))
    data[data.index(b"x = 1")] ^= 0xFF
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: zipped(("../a.py", b"")), "relative"),
        (lambda: zipped(("b/../../a.py", b"")), "relative"),
        (lambda: zipped(("/etc/a.py", b"")), "relative"),
        (lambda: zipped(("C:/a.py", b"")), "relative"),
        (lambda: zipped(("b\\..\\a.py", b"")), "relative"),
        (lambda: zipped(("a.py\0.txt", b"")), "relative"),
        (lambda: zipped(("b//a.py", b"")), "relative"),
        (lambda: zipped(("x" * 300, b"")), "relative"),
        (lambda: zipped(("link.py", b"/etc/passwd"), kind=stat.S_IFLNK), "symbolic link"),
        (lambda: zipped(("pipe", b""), kind=stat.S_IFIFO), "neither a file nor a folder"),
        (lambda: zipped(("a.py", b"1"), ("a.py", b"2")), "twice"),
        (lambda: zipped(("a", b"1"), ("a/b.py", b"2")), "twice"),
        (lambda: zipped(("a/b.py", b"1"), ("a", b"2")), "twice"),
        (encrypted, "The archive is encrypted"),
        (lambda: zipped(("a.py", b"1"), method=zipfile.ZIP_LZMA), "method 14"),
        (lambda: zipped(("a.py", bytes(4 << 20))), "zip bomb"),
        (damaged, "damaged"),
        (claiming_little, "damaged"),
        (lambda: b"print(1)", "no zip file"),
        (lambda: b"", "no zip file"),
        (lambda: archive(a="x = 1")[:-10], "no zip file"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_hostile_or_broken_archive_is_refused(data: Callable[[], bytes], message: str, tmp_path: Path) -> None:
    folder = tmp_path / "one" / "code"
    folder.mkdir(parents=True)
    with pytest.raises(InvalidFunctionError, match=message):
        unpack(data(), folder)
    assert [path for path in tmp_path.rglob("*") if not path.is_relative_to(folder.parent)] == []
    assert not any(path.is_symlink() for path in folder.rglob("*"))


def test_what_unpacks_to_too_much_is_refused_whatever_its_ratio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "UNPACKED_LIMIT_BYTES", 1 << 20)
    noise = zlib.compress(bytes(range(256)) * 4096)
    with pytest.raises(InvalidFunctionError, match="at most 1 MiB"):
        unpack(zipped(("a.py", noise), ("b.py", bytes(1 << 20))), tmp_path)


def test_too_many_entries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ENTRY_LIMIT", 10)
    with pytest.raises(InvalidFunctionError, match="11 entries; at most 10"):
        list_files(zipped(*((f"{index}.py", b"") for index in range(11))))


def test_an_archive_that_is_too_large_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ARCHIVE_LIMIT_BYTES", 1 << 20)
    with pytest.raises(InvalidFunctionError, match="at most 1 MiB are allowed"):
        list_files(bytes((1 << 20) + 1))


def test_files_and_folders_arrive_as_they_were(tmp_path: Path) -> None:
    unpack(zipped(("pkg/", b""), ("pkg/a.py", b"x = 1"), ("b.txt", b"text")), tmp_path)
    assert (tmp_path / "pkg" / "a.py").read_bytes() == b"x = 1"
    assert (tmp_path / "b.txt").read_bytes() == b"text"


def test_a_small_file_may_be_dense(tmp_path: Path) -> None:
    unpack(zipped(("zeros.bin", bytes(1 << 20))), tmp_path)
    assert (tmp_path / "zeros.bin").stat().st_size == 1 << 20


def test_the_same_file_packs_to_the_same_archive() -> None:
    assert pack_file("reward.py", b"x = 1") == pack_file("reward.py", b"x = 1")
    assert list_files(pack_file("reward.py", b"x = 1")) == ["reward.py"]
