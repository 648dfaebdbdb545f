"""What the registry of functions refuses, as refusals of `/api`."""

from __future__ import annotations

import errno
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from tuneward.errors import StoreError
from tuneward.jobs.problems import ConflictError, InvalidRequestError, ObjectNotFoundError
from tuneward.rewards.functions import (
    FunctionConflictError,
    FunctionNotFoundError,
    FunctionRevisionError,
    InvalidFunctionError,
)


class FunctionRoute(APIRoute):
    """A route over registered functions."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await answer(request)
            except FunctionNotFoundError as error:
                raise ObjectNotFoundError(str(error), code="function_not_found") from None
            except (FunctionConflictError, FunctionRevisionError) as error:
                raise ConflictError(str(error), code="function_conflict") from None
            except InvalidFunctionError as error:
                raise InvalidRequestError(str(error), code="invalid_function") from None
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                raise StoreError("There is no room left for code on the server's disk; free some space.") from None

        return handler
