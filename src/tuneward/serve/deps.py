"""What routes ask for in their parameters: the services, and the caller with the role that the route needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request

from tuneward.accounts.principal import Principal, Role
from tuneward.jobs.problems import ForbiddenError
from tuneward.serve.services import Services


def services_of(request: Request) -> Services:
    """The services of the application that answers a request."""
    services: Services = request.app.state.services
    return services


def allow(role: Role) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency: the caller, whom `serve.gate` has let in, if the role allows it. Raises ForbiddenError."""

    async def caller(request: Request) -> Principal:
        principal: Principal = request.state.principal
        if not principal.may(role):
            raise ForbiddenError(
                f"This key has the role {principal.role}; {request.method} {request.scope['path']} needs {role}.",
                code="insufficient_role",
            )
        return principal

    return caller


Use = Annotated[Services, Depends(services_of)]
Viewer = Annotated[Principal, Depends(allow("viewer"))]
Developer = Annotated[Principal, Depends(allow("developer"))]
Admin = Annotated[Principal, Depends(allow("admin"))]
