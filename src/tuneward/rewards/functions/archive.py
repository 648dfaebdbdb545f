"""Zip archives of functions, read with distrust: they may come from anybody who may register a function.

Size limits are AWS Lambda's for an archive sent directly.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from tuneward.rewards.functions.problems import InvalidFunctionError

ARCHIVE_LIMIT_BYTES = 50 << 20
UNPACKED_LIMIT_BYTES = 250 << 20
ENTRY_LIMIT = 10_000
RATIO_LIMIT = 200
"""Unpacked to packed size of the whole archive; Python code and text stay under 20."""
RATIO_FREE_BYTES = 1 << 20
"""Archives that unpack to less than this may have any ratio: a small file of zeros is no bomb."""

CHUNK_BYTES = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_TIME = (1980, 1, 1, 0, 0, 0)


def pack_file(name: str, source: bytes) -> bytes:
    """An archive of one file; the same file always gives the same bytes, hence the same hash."""
    return pack_files({name: source})


def pack_files(files: Mapping[str, bytes]) -> bytes:
    """An archive of files by path; the same files, in any order, always give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, _TIME)
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, files[name])
    return buffer.getvalue()


def list_files(data: bytes) -> list[str]:
    """Paths of the files in an archive.

    Raises:
        InvalidFunctionError: as `unpack`, as far as it shows without unpacking.
    """
    with _opened(data) as archive:
        return [str(path) for path, entry in _checked(archive, data) if not entry.is_dir()]


def read_files(data: bytes) -> dict[str, bytes]:
    """The files of an archive by path, in memory. Raises InvalidFunctionError as `unpack`."""
    with _opened(data) as archive:
        entries = list(_checked(archive, data))
        content: dict[str, bytes] = {}
        left = UNPACKED_LIMIT_BYTES
        for path, entry in entries:
            if not entry.is_dir():
                buffer = io.BytesIO()
                left -= _copy(archive, entry, buffer, left)
                content[str(path)] = buffer.getvalue()
    return content


def unpack(data: bytes, folder: Path) -> None:
    """Write an archive's files into a folder, which must be new or empty and is private to the caller.

    Raises:
        InvalidFunctionError: no zip file, damaged, encrypted, too large or too dense, or with an entry that is a link
            or a device, lies outside, or comes twice. Part of the files may have been written by then.
    """
    with _opened(data) as archive:
        entries = list(_checked(archive, data))
        left = UNPACKED_LIMIT_BYTES
        for path, entry in entries:
            target = folder / path
            if entry.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            left -= _write(archive, entry, target, left)
            target.chmod(0o755 if (entry.external_attr >> 16) & 0o111 else 0o644)
    # Whatever the umask: a sandboxed process reads them as another user, through a view of this folder alone.
    for directory in (folder, *filter(Path.is_dir, folder.rglob("*"))):
        directory.chmod(0o755)


def _opened(data: bytes) -> zipfile.ZipFile:
    if len(data) > ARCHIVE_LIMIT_BYTES:
        raise InvalidFunctionError(
            f"The archive has {len(data) >> 20} MiB; at most {ARCHIVE_LIMIT_BYTES >> 20} MiB are allowed."
        )
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OverflowError) as error:
        raise InvalidFunctionError(f"The archive is no zip file that can be read ({error}).") from None


def _checked(archive: zipfile.ZipFile, data: bytes) -> Iterator[tuple[PurePosixPath, zipfile.ZipInfo]]:
    """Every entry with its path within the folder, after all checks that need no unpacking."""
    entries = archive.infolist()
    if len(entries) > ENTRY_LIMIT:
        raise InvalidFunctionError(f"The archive has {len(entries)} entries; at most {ENTRY_LIMIT} are allowed.")
    total = sum(entry.file_size for entry in entries)
    if total > UNPACKED_LIMIT_BYTES:
        raise InvalidFunctionError(
            f"The archive unpacks to {total >> 20} MiB; at most {UNPACKED_LIMIT_BYTES >> 20} MiB are allowed."
        )
    if total > RATIO_FREE_BYTES and total > RATIO_LIMIT * len(data):
        raise InvalidFunctionError(
            f"The archive unpacks to {total / len(data):.0f} times its size, more than {RATIO_LIMIT}: a zip bomb."
        )
    files: set[PurePosixPath] = set()
    folders: set[PurePosixPath] = set()
    for entry in entries:
        path = _path(entry)
        _check_kind(entry)
        if path in files or (path in folders and not entry.is_dir()) or not files.isdisjoint(path.parents):
            raise InvalidFunctionError(f'The archive has "{path}" twice.')
        (folders if entry.is_dir() else files).add(path)
        folders.update(path.parents)
        yield path, entry


def _path(entry: zipfile.ZipInfo) -> PurePosixPath:
    name = entry.orig_filename  # `filename` is cut at a null byte
    parts = name.rstrip("/").split("/")
    is_odd = any(part in ("", ".", "..") or len(part.encode(errors="replace")) > 255 for part in parts)
    if is_odd or any(character in name for character in "\\:\0") or len(name) > 1024:
        raise InvalidFunctionError(
            f"The archive has an entry {name[:200]!r}. Paths must be relative, without .., backslashes and colons."
        )
    return PurePosixPath(name)


def _check_kind(entry: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise InvalidFunctionError(f'The archive has a symbolic link "{entry.filename}". Replace it by the file.')
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise InvalidFunctionError(f'The archive has "{entry.filename}", which is neither a file nor a folder.')
    if entry.flag_bits & 0x1:
        raise InvalidFunctionError(f'The archive is encrypted ("{entry.filename}"). Send it without a password.')
    if entry.compress_type not in _METHODS:
        raise InvalidFunctionError(
            f'The archive has "{entry.filename}" compressed by method {entry.compress_type}. Use deflate.'
        )


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, left: int) -> int:
    with target.open("xb") as file:
        return _copy(archive, entry, file, left)


def _copy(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: IO[bytes], left: int) -> int:
    """Unpack one file, counting what really comes out: the sizes in an archive are only claims."""
    written = 0
    try:
        with archive.open(entry) as source:
            while chunk := source.read(CHUNK_BYTES):
                written += len(chunk)
                if written > left:
                    raise InvalidFunctionError(f"The archive unpacks to more than {UNPACKED_LIMIT_BYTES >> 20} MiB.")
                target.write(chunk)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InvalidFunctionError(f'The archive is damaged at "{entry.filename}" ({error}).') from None
    return written
