"""`/v1/uploads`. Source: OpenAI RFT contract, 2.2."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, StrictInt
from starlette.concurrency import run_in_threadpool

from tuneward.jobs.upload_rows import status_of
from tuneward.serve.deps import Developer, Use
from tuneward.serve.errors import ApiError
from tuneward.serve.openai.files import file_object
from tuneward.serve.openai.multipart import read_form
from tuneward.store.tables import File, Upload
from tuneward.types import Json

routes = APIRouter(prefix="/uploads")

_PART = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["data"],
                "properties": {"data": {"type": "string", "format": "binary"}},
            }
        }
    },
}


class ExpiresAfter(BaseModel):
    anchor: Literal["created_at"]
    seconds: StrictInt


class NewUpload(BaseModel):
    bytes: StrictInt
    filename: str
    mime_type: str
    purpose: str
    expires_after: ExpiresAfter | None = None


class Completion(BaseModel):
    part_ids: Annotated[list[str], Field(min_length=1, max_length=10_000)]
    md5: str | None = None


@routes.post("")
def create(body: NewUpload, principal: Developer, services: Use) -> Json:
    upload = services.uploads.create(
        principal.project_id,
        purpose=body.purpose,
        filename=body.filename,
        mime_type=body.mime_type,
        size_bytes=body.bytes,
        file_expires_after_s=body.expires_after.seconds if body.expires_after else None,
    )
    return upload_object(upload)


@routes.post("/{upload_id}/parts", openapi_extra={"requestBody": _PART})
async def add_part(upload_id: str, request: Request, principal: Developer, services: Use) -> Json:
    project_id = principal.project_id
    with await run_in_threadpool(services.uploads.receive, project_id, upload_id) as incoming:
        form = await read_form(request, "data", incoming.write)
        if form.filename is None:
            raise ApiError(400, "Missing required parameter: 'data'.", param="data", code="missing_required_parameter")
        part = await run_in_threadpool(services.uploads.keep_part, project_id, upload_id, incoming)
    return {"id": part.id, "object": "upload.part", "created_at": int(part.created_at), "upload_id": upload_id}


@routes.post("/{upload_id}/complete")
def complete(upload_id: str, body: Completion, principal: Developer, services: Use) -> Json:
    upload, file = services.uploads.complete(principal.project_id, upload_id, body.part_ids, md5=body.md5)
    return upload_object(upload, file)


@routes.post("/{upload_id}/cancel")
def cancel(upload_id: str, principal: Developer, services: Use) -> Json:
    return upload_object(services.uploads.cancel(principal.project_id, upload_id))


def upload_object(upload: Upload, file: File | None = None) -> Json:
    """An upload as clients see it."""
    return {
        "id": upload.id,
        "object": "upload",
        "bytes": upload.bytes,
        "created_at": int(upload.created_at),
        "expires_at": int(upload.expires_at),
        "filename": upload.filename,
        "purpose": upload.purpose,
        "status": status_of(upload),
        "file": None if file is None else file_object(file),
    }
