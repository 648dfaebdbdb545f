"""PublishVersion and ListVersionsByFunction."""

from __future__ import annotations

from fastapi import APIRouter

from tuneward.serve.deps import Developer, Use, Viewer
from tuneward.serve.functions.bodies import PublishVersion
from tuneward.serve.functions.configuration import FUNCTION, by_version
from tuneward.serve.functions.paging import LARGEST_PAGE, Marker, MaxItems, page
from tuneward.serve.functions.shapes import configuration_shape
from tuneward.serve.functions.words import FunctionsRoute, Name, find_whole
from tuneward.types import Json

routes = APIRouter(route_class=FunctionsRoute)


@routes.post(FUNCTION + "/versions", status_code=201)
def publish_version(
    name: Name, services: Use, caller: Developer, body: PublishVersion | None = None
) -> dict[str, Json]:
    """PublishVersion."""
    registry = services.functions(caller.project_id, caller.account_id)
    body = body or PublishVersion()
    published = registry.publish(
        find_whole(registry, name), body.description, revision=body.revision_id, sha256=body.code_sha256
    )
    return configuration_shape(published)


@routes.get(FUNCTION + "/versions")
def list_versions(
    name: Name, services: Use, caller: Viewer, marker: Marker = None, most: MaxItems = LARGEST_PAGE
) -> dict[str, Json]:
    """ListVersionsByFunction."""
    registry = services.functions(caller.project_id, caller.account_id)
    shown, more = page(registry.versions(find_whole(registry, name)), by_version, marker, most)
    return {"Versions": [configuration_shape(one, one.version) for one in shown], **more}
