"""`Code.Location` of GetFunction: an address that gives the archive to whoever has it, for ten minutes."""

from __future__ import annotations

import base64
import binascii
import json
import time

from fastapi import APIRouter, Request, Response

from tuneward.accounts.principal import Principal
from tuneward.accounts.problems import AccountError
from tuneward.accounts.vault import open_vault
from tuneward.rewards.functions import FunctionConfiguration
from tuneward.serve.aws_errors import AwsError
from tuneward.serve.deps import Use
from tuneward.serve.functions.words import FunctionsRoute
from tuneward.serve.services import Services

routes = APIRouter(route_class=FunctionsRoute)

LIFETIME_S = 600
PATH = "/2015-03-31/downloads/"

_OWNER = "address of an archive"


@routes.get(PATH + "{token}", response_class=Response)
def download(token: str, services: Use) -> Response:
    """The archive of one version; the token, which only this server can have made, is the permission."""
    try:
        sealed = base64.urlsafe_b64decode(token.encode())
        project, reference, expires = json.loads(open_vault(services.home).open(sealed, _OWNER))
    except (binascii.Error, ValueError, AccountError):
        expires = 0.0
    if expires < time.time():
        raise AwsError("AccessDeniedException", 403, "This address has expired, or never was one; ask GetFunction.")
    return Response(services.functions(project).code(reference), media_type="application/zip")


def signed_url(request: Request, services: Services, caller: Principal, function: FunctionConfiguration) -> str:
    """Where the archive of a version can be fetched for a while, without any key."""
    content = json.dumps([caller.project_id, f"{function.name}:{function.version}", time.time() + LIFETIME_S])
    token = base64.urlsafe_b64encode(open_vault(services.home).seal(content, _OWNER)).decode()
    return f"{str(request.base_url).rstrip('/')}{PATH}{token}"
