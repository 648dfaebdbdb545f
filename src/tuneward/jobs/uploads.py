"""Files that come in parts, in parallel, and are put together at the end. Source: OpenAI RFT contract, 2.2."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from tuneward.jobs.file_checks import check_lifetime, check_purpose, clean_name, is_plain
from tuneward.jobs.files import FileService
from tuneward.jobs.incoming import Incoming, disk_errors
from tuneward.jobs.places import project_home
from tuneward.jobs.problems import ConflictError, InvalidRequestError, ServiceError
from tuneward.jobs.upload_rows import check_part_ids, find_open_upload, find_upload, invalid, parts_of, size_of_parts
from tuneward.store.database import Database
from tuneward.store.ids import new_id
from tuneward.store.tables import File, Upload, UploadPart

LARGEST_BYTES = 8 << 30
LARGEST_PART_BYTES = 64 << 20
LIFETIME_S = 3600

MOST_PARTS = 10_000

COPIES = 3
"""A client sends a part again when it has not heard of its arrival; all parts together may be this often the whole."""

PIECE_BYTES = 1 << 20


class UploadService:
    """Keeps parts in `HOME/projects/PROJECT/uploads/UPLOAD/PART` until they become a file or their hour is over."""

    def __init__(self, database: Database, home: Path, files: FileService):
        self._database = database
        self._home = home
        self._files = files

    def create(
        self,
        project_id: str,
        *,
        purpose: str,
        filename: str,
        mime_type: str,
        size_bytes: int,
        file_expires_after_s: int | None = None,
    ) -> Upload:
        """Announce a file of `size_bytes`. Raises InvalidRequestError for what the file could not be later."""
        check_purpose(purpose)
        check_lifetime(file_expires_after_s)
        if not 1 <= size_bytes <= LARGEST_BYTES:
            raise invalid("bytes", f"expected 1 to {LARGEST_BYTES:,}")
        if not is_plain(mime_type) or len(mime_type) > 255:
            raise invalid("mime_type", "expected a type such as text/jsonl")
        now = time.time()
        upload = Upload(
            id=new_id("upload_", length=24),
            project_id=project_id,
            purpose=purpose,
            filename=clean_name(filename, purpose, param="filename"),
            mime_type=mime_type,
            bytes=size_bytes,
            created_at=now,
            expires_at=now + LIFETIME_S,
            file_expires_after_s=file_expires_after_s,
            status="pending",
        )

        def work(session: Session) -> Upload:
            session.add(upload)
            return upload

        return self._database.write(work)

    def receive(self, project_id: str, upload_id: str) -> Incoming:
        """Begin to take in a part; `keep_part` makes it one.

        Raises:
            ObjectNotFoundError: no such upload.
            ConflictError: it takes no more parts.
            StoreError: the disk is full or cannot be written.
        """
        self._database.read(lambda session: find_open_upload(session, project_id, upload_id))
        folder = self._folder(project_id, upload_id)
        return Incoming(folder, new_id("part_", length=24), largest_bytes=LARGEST_PART_BYTES)

    def keep_part(self, project_id: str, upload_id: str, incoming: Incoming) -> UploadPart:
        """Make a part of what was received.

        Raises:
            InvalidRequestError: it is empty, or the parts are more than was announced, allowing for repetitions.
            ObjectNotFoundError, ConflictError, StoreError: as `receive`.
        """

        def work(session: Session) -> UploadPart:
            upload = find_open_upload(session, project_id, upload_id, lock=True)
            count, stored = size_of_parts(session, upload_id)
            if not incoming.bytes:
                raise invalid("data", "the part is empty")
            if count >= MOST_PARTS:
                raise invalid("data", f"{upload_id} has {count:,} parts already; send larger ones")
            if incoming.bytes > upload.bytes or stored + incoming.bytes > COPIES * upload.bytes:
                raise InvalidRequestError(
                    f"The parts of {upload_id} hold more than the {upload.bytes:,} bytes that it was created for.",
                    param="data",
                    code="upload_too_large",
                )
            part = UploadPart(id=incoming.name, upload_id=upload_id, bytes=incoming.bytes, created_at=time.time())
            session.add(part)
            return part

        path = incoming.keep()
        try:
            return self._database.write(work)
        except ServiceError:
            path.unlink(missing_ok=True)
            raise

    def complete(
        self, project_id: str, upload_id: str, part_ids: Sequence[str], *, md5: str | None = None
    ) -> tuple[Upload, File]:
        """Put the parts together, in the order given. The same call again gives the same answer.

        Raises:
            ObjectNotFoundError: no such upload.
            ConflictError: it is over, or was completed from other parts.
            InvalidRequestError: a part is unknown or named twice; size, digest or content are not as announced.
            StoreError: the disk is full or cannot be written.
        """

        def check(session: Session) -> Upload:
            upload = find_open_upload(session, project_id, upload_id)
            check_part_ids(upload, parts_of(session, upload_id), part_ids)
            return upload

        try:
            self._put_together(self._database.read(check), part_ids, md5)
        except ConflictError:
            done = self._completed(project_id, upload_id, part_ids)
            if done is None:
                raise
            return done
        self._clear(project_id, upload_id)
        done = self._completed(project_id, upload_id, part_ids)
        if done is None:
            raise ConflictError(f"The file of {upload_id} was deleted at once.", param="upload_id", code="upload_state")
        return done

    def cancel(self, project_id: str, upload_id: str) -> Upload:
        """Give an upload up; again is no error. Raises ObjectNotFoundError, ConflictError when it is over."""

        def work(session: Session) -> Upload:
            upload = find_upload(session, project_id, upload_id, lock=True)
            if upload.status != "cancelled":
                upload = find_open_upload(session, project_id, upload_id)
                upload.status = "cancelled"
            return upload

        upload = self._database.write(work)
        self._clear(project_id, upload_id)
        return upload

    def sweep(self) -> int:
        """End uploads whose hour is over, and remove parts that nobody needs any more; returns how many ended.

        Raises:
            StoreError: the database cannot be used.
        """

        def work(session: Session) -> int:
            query = select(Upload).where(Upload.status == "pending", Upload.expires_at <= time.time())
            over = session.scalars(query.with_for_update()).all()
            for upload in over:
                upload.status = "expired"
            return len(over)

        ended = self._database.write(work)
        names = [folder.name for folder in self._home.glob("projects/*/uploads/*")]

        def done(session: Session) -> list[Upload]:
            found = (session.get(Upload, name) for name in names)
            return [upload for upload in found if upload is not None and upload.status != "pending"]

        for upload in self._database.read(done):
            self._clear(upload.project_id, upload.id)
        return ended

    def _put_together(self, upload: Upload, part_ids: Sequence[str], md5: str | None) -> None:
        used = set(part_ids)

        def close(session: Session, file: File) -> None:
            closed = find_open_upload(session, upload.project_id, upload.id, lock=True)
            closed.status, closed.file_id = "completed", file.id
            for part in parts_of(session, upload.id):
                if part.id not in used:
                    session.delete(part)

        with self._files.receive(upload.project_id, largest_bytes=LARGEST_BYTES) as incoming:
            digest = hashlib.md5(usedforsecurity=False)
            for part_id in part_ids:
                with disk_errors(), (self._folder(upload.project_id, upload.id) / part_id).open("rb") as part:
                    while piece := part.read(PIECE_BYTES):
                        digest.update(piece)
                        incoming.write(piece)
            if md5 is not None and digest.hexdigest() != md5.strip().lower():
                raise invalid("md5", "it is not the digest of the parts in this order; send what differs again")
            self._files.keep(
                upload.project_id,
                incoming,
                purpose=upload.purpose,
                filename=upload.filename,
                expires_after_s=upload.file_expires_after_s,
                also=close,
            )

    def _completed(self, project_id: str, upload_id: str, part_ids: Sequence[str]) -> tuple[Upload, File] | None:
        """The upload and its file, when it was completed from just these parts."""

        def work(session: Session) -> tuple[Upload, File] | None:
            upload = find_upload(session, project_id, upload_id)
            file = session.get(File, upload.file_id) if upload.file_id else None
            used = {part.id for part in parts_of(session, upload_id)}
            return (upload, file) if file is not None and used == set(part_ids) else None

        return self._database.read(work)

    def _clear(self, project_id: str, upload_id: str) -> None:
        shutil.rmtree(self._folder(project_id, upload_id), ignore_errors=True)

    def _folder(self, project_id: str, upload_id: str) -> Path:
        return project_home(self._home, project_id) / "uploads" / upload_id
