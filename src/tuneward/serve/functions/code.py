"""UpdateFunctionCode, and where archives come from."""

from __future__ import annotations

from fastapi import APIRouter

from tuneward.errors import DataError
from tuneward.rewards.functions import InvalidFunctionError
from tuneward.rewards.functions.archive import ARCHIVE_LIMIT_BYTES
from tuneward.serve.deps import Developer, Use
from tuneward.serve.functions.bodies import Code, UpdateCode, decode_zip
from tuneward.serve.functions.shapes import configuration_shape
from tuneward.serve.functions.words import FunctionsRoute, Name, find_whole
from tuneward.serve.services import Services
from tuneward.types import Json

routes = APIRouter(route_class=FunctionsRoute)


@routes.put("/2015-03-31/functions/{name:label}/code")
def update_code(name: Name, body: UpdateCode, services: Use, caller: Developer) -> dict[str, Json]:
    """UpdateFunctionCode."""
    registry = services.functions(caller.project_id, caller.account_id)
    function = find_whole(registry, name)
    registry.get(function)
    updated = registry.update(
        function, code=archive_of(body, services), revision=body.revision_id, dry_run=body.dry_run
    )
    return configuration_shape(registry.publish(function) if body.publish and not body.dry_run else updated)


def archive_of(code: Code, services: Services) -> bytes:
    """The archive that a request sends or names. Raises AwsError, InvalidFunctionError."""
    if code.image_uri:
        raise InvalidFunctionError("ImageUri: container images cannot be run here; send a zip archive.")
    if code.zip_file is not None:
        return decode_zip(code.zip_file)
    if not (code.s3_bucket and code.s3_key):
        raise InvalidFunctionError("Send the archive as ZipFile, or name it with S3Bucket and S3Key.")
    data = bytearray()
    try:
        for piece in services.objects.read(f"s3://{code.s3_bucket}/{code.s3_key}"):
            data += piece
            if len(data) > ARCHIVE_LIMIT_BYTES:
                break  # what reads the archive says so
    except DataError as error:
        raise InvalidFunctionError(str(error)) from None
    return bytes(data)
