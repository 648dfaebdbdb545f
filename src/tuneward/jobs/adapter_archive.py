"""An adapter as a ZIP archive that is made while it is sent: memory does not grow with the adapter.

What is in it loads with peft: `PeftModel.from_pretrained(base, folder)`.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from tuneward.jobs.problems import ObjectNotFoundError

CONFIG = "adapter_config.json"
FILES = (CONFIG, "adapter_model.safetensors")
PIECE_BYTES = 1 << 20

LONGEST_NAME = 100
"""Characters of the archive's name."""


def archive_name(name: str, step: int) -> str:
    """A name that is one plain part of a path on every system, whatever a job is called."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:LONGEST_NAME].strip("-.")
    return f"{plain or 'adapter'}-step-{step}"


def adapter_archive(folder: Path, name: str, base_model: str) -> Iterator[bytes]:
    """The pieces of an archive with one folder in it.

    Args:
        folder: of the adapter, in peft's format.
        name: of the folder in the archive.
        base_model: what the adapter says it belongs to; in the server's own files that is a path of the server.

    Raises:
        ObjectNotFoundError: the adapter is not there any more; at once, not while it is sent.
    """
    with ExitStack() as stack:
        # Open files are read to their end, whoever deletes them meanwhile.
        try:
            config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            weights = stack.enter_context((folder / FILES[1]).open("rb"))
        except (OSError, ValueError):
            raise ObjectNotFoundError("The adapter of this checkpoint is gone from the server's disk.") from None
        config["base_model_name_or_path"] = base_model
        text = json.dumps(config, indent=2, ensure_ascii=False).encode()
        opened: list[tuple[str, BinaryIO]] = [(CONFIG, io.BytesIO(text)), (FILES[1], weights)]
        return _pieces(name, opened, stack.pop_all())


def _pieces(name: str, opened: list[tuple[str, BinaryIO]], held: ExitStack) -> Iterator[bytes]:
    out = _Pipe()
    with held, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:  # weights do not get smaller
        for file, source in opened:
            info = zipfile.ZipInfo(f"{name}/{file}")  # of 1980: the same adapter is always the same archive
            info.external_attr = 0o644 << 16
            with archive.open(info, "w", force_zip64=True) as target:
                while piece := source.read(PIECE_BYTES):
                    target.write(piece)
                    yield out.take()
    yield out.take()


class _Pipe(io.RawIOBase):
    """Takes what is written until it is asked for; it cannot be sought in, which makes the archive one that streams."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(memoryview(data))  # type: ignore[arg-type]
        self._written += piece
        return len(piece)

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken
