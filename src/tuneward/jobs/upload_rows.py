"""Uploads and their parts in the database, and what is checked about them."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tuneward.jobs.file_checks import is_plain
from tuneward.jobs.problems import ConflictError, InvalidRequestError, ObjectNotFoundError
from tuneward.store.tables import Upload, UploadPart


def status_of(upload: Upload) -> str:
    """`pending`, `completed`, `cancelled` or `expired`, as of now."""
    return "expired" if upload.status == "pending" and upload.expires_at <= time.time() else upload.status


def find_upload(session: Session, project_id: str, upload_id: str, *, lock: bool = False) -> Upload:
    """A project's upload. Raises ObjectNotFoundError."""
    query = select(Upload).where(Upload.id == upload_id, Upload.project_id == project_id)
    upload = session.scalar(query.with_for_update() if lock else query) if is_plain(upload_id) else None
    if upload is None:
        raise ObjectNotFoundError(f"No such Upload object: {upload_id}", param="upload_id", code="not_found")
    return upload


def find_open_upload(session: Session, project_id: str, upload_id: str, *, lock: bool = False) -> Upload:
    """As `find_upload`; raises ConflictError when the upload is over."""
    upload = find_upload(session, project_id, upload_id, lock=lock)
    status = status_of(upload)
    if status != "pending":
        raise ConflictError(f"{upload.id} is {status}; create a new upload.", param="upload_id", code="upload_state")
    return upload


def parts_of(session: Session, upload_id: str) -> Sequence[UploadPart]:
    """The parts of an upload, in no order."""
    return session.scalars(select(UploadPart).where(UploadPart.upload_id == upload_id)).all()


def size_of_parts(session: Session, upload_id: str) -> tuple[int, int]:
    """How many parts an upload has, and their bytes together."""
    query = select(func.count(), func.coalesce(func.sum(UploadPart.bytes), 0))
    count, size = session.execute(query.where(UploadPart.upload_id == upload_id)).one()
    return int(count), int(size)


def check_part_ids(upload: Upload, parts: Sequence[UploadPart], part_ids: Sequence[str]) -> None:
    """Raises InvalidRequestError unless the parts named are the upload's, once each, and have its size together."""
    sizes = {part.id: part.bytes for part in parts}
    unknown = [part_id for part_id in part_ids if part_id not in sizes]
    if unknown:
        raise invalid("part_ids", f"{unknown[0][:60]} is no part of {upload.id}")
    if len(set(part_ids)) != len(part_ids):
        raise invalid("part_ids", "a part is named twice")
    total = sum(sizes[part_id] for part_id in part_ids)
    if total != upload.bytes:
        raise invalid("part_ids", f"the parts have {total:,} bytes together; {upload.bytes:,} were announced")


def invalid(param: str, reason: str) -> InvalidRequestError:
    """A refusal of a parameter."""
    return InvalidRequestError(f"Invalid value for '{param}': {reason}.", param=param, code="invalid_value")
