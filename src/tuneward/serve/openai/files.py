"""`/v1/files`. Source: OpenAI RFT contract, 2.1 and 1.6."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from tuneward.jobs.file_checks import CREATABLE, PRODUCED, check_purpose
from tuneward.serve.deps import Developer, Use, Viewer
from tuneward.serve.errors import ApiError
from tuneward.serve.openai.multipart import Form, read_form
from tuneward.store.tables import File
from tuneward.types import Json

routes = APIRouter(prefix="/files")

PIECE_BYTES = 1 << 20

_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file", "purpose"],
                "properties": {
                    "file": {"type": "string", "format": "binary"},
                    "purpose": {"type": "string", "enum": list(CREATABLE)},
                    "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
                    "expires_after[seconds]": {"type": "integer"},
                },
            }
        }
    },
}


@routes.post("", openapi_extra={"requestBody": _BODY})
async def create(request: Request, principal: Developer, services: Use) -> Json:
    with await run_in_threadpool(services.files.receive, principal.project_id) as incoming:
        form = await read_form(request, "file", incoming.write)
        for field, value in (("file", form.filename), ("purpose", form.fields.get("purpose"))):
            if value is None:
                raise ApiError(
                    400, f"Missing required parameter: '{field}'.", param=field, code="missing_required_parameter"
                )
        purpose = form.fields["purpose"]
        check_purpose(purpose)
        expires_after_s = _lifetime(form)
        file = await run_in_threadpool(
            lambda: services.files.keep(
                principal.project_id,
                incoming,
                purpose=purpose,
                filename=form.filename or "",
                expires_after_s=expires_after_s,
            )
        )
    return file_object(file)


@routes.get("")
def list_files(
    principal: Viewer,
    services: Use,
    purpose: str | None = None,
    limit: Annotated[int, Query(ge=1, le=10000)] = 10000,
    order: Literal["asc", "desc"] = "desc",
    after: str | None = None,
) -> Json:
    if purpose is not None:
        check_purpose(purpose, CREATABLE + PRODUCED)
    page = services.files.list(principal.project_id, purpose=purpose, limit=limit, after_id=after, order=order)
    ids = [file.id for file in page.items]
    return {
        "object": "list",
        "data": [file_object(file) for file in page.items],
        "has_more": page.has_more,
        "first_id": ids[0] if ids else None,
        "last_id": ids[-1] if ids else None,
    }


@routes.get("/{file_id}")
def retrieve(file_id: str, principal: Viewer, services: Use) -> Json:
    return file_object(services.files.get(principal.project_id, file_id))


@routes.get("/{file_id}/content", response_class=StreamingResponse)
def content(file_id: str, principal: Viewer, services: Use) -> StreamingResponse:
    file = services.files.get(principal.project_id, file_id)
    headers = {
        "Content-Length": str(file.bytes),
        # Percent-encoded throughout, so that no name can add to the header.
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.filename, safe='')}",
        "X-Content-Type-Options": "nosniff",
    }
    pieces = _pieces(services.files.path(principal.project_id, file_id))
    next(pieces)  # Opens it: what is deleted from now on is still sent to its end.
    return StreamingResponse(pieces, media_type="application/octet-stream", headers=headers)


@routes.delete("/{file_id}")
def delete(file_id: str, principal: Developer, services: Use) -> Json:
    services.files.delete(principal.project_id, file_id)
    return {"id": file_id, "object": "file", "deleted": True}


def file_object(file: File) -> Json:
    """A file as clients see it."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": int(file.created_at),
        "expires_at": None if file.expires_at is None else int(file.expires_at),
        "filename": file.filename,
        "purpose": file.purpose,
        "status": file.status,
        "status_details": file.status_details,
    }


def _lifetime(form: Form) -> int | None:
    """Seconds of `expires_after`. Raises ApiError when half of it is there, or it is no number."""
    anchor, seconds = (form.fields.get(f"expires_after[{key}]") for key in ("anchor", "seconds"))
    if anchor is None and seconds is None:
        return None
    if anchor != "created_at":
        raise _bad("expires_after[anchor]", "expected created_at")
    if seconds is None or not re.fullmatch(r"[0-9]{1,9}", seconds):
        raise _bad("expires_after[seconds]", "expected a number of seconds")
    return int(seconds)


def _bad(param: str, reason: str) -> ApiError:
    return ApiError(400, f"Invalid value for '{param}': {reason}.", param=param, code="invalid_value")


def _pieces(path: Path) -> Iterator[bytes]:
    """Nothing once the file is open, and then its content."""
    with path.open("rb") as file:
        yield b""
        while piece := file.read(PIECE_BYTES):
            yield piece
