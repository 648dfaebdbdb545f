"""How functions are named in requests, and how failures are named in answers."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from tuneward.rewards.functions import (
    FunctionBusyError,
    FunctionConflictError,
    FunctionNotFoundError,
    FunctionReference,
    FunctionRegistry,
    FunctionRevisionError,
    InvalidFunctionError,
)
from tuneward.serve.aws_errors import AwsError

Name = Annotated[str, Path(description="NAME, NAME:QUALIFIER, ACCOUNT:function:NAME or an ARN.", max_length=256)]
Qualifier = Annotated[str | None, Query(alias="Qualifier", max_length=128, description="A version or an alias.")]

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def find(registry: FunctionRegistry, name: str, qualifier: str | None = None) -> FunctionReference:
    """The function that a path and a query name together.

    Raises:
        InvalidFunctionError: the name is none, or two different qualifiers are given.
        FunctionNotFoundError: of another account.
    """
    partial = re.fullmatch(r"(?:(?:[a-z0-9-]+:)?(\d{12}):)?function:(.+)", name)
    if partial:
        account = partial[1] or registry.account
        name = f"arn:aws:lambda:us-east-1:{account}:function:{partial[2]}"
    parsed = registry.parse(name)
    if qualifier and parsed.qualifier and qualifier != parsed.qualifier:
        raise InvalidFunctionError(
            "The derived qualifier from the function name does not match the specified qualifier."
        )
    return FunctionReference(parsed.name, qualifier or parsed.qualifier)


def find_whole(registry: FunctionRegistry, name: str) -> str:
    """The name of a function, where a version or an alias of it makes no sense. Raises as `find`."""
    parsed = find(registry, name)
    if parsed.qualifier not in (None, "$LATEST"):
        raise InvalidFunctionError(f"{name} names a version or an alias; name the function itself.")
    return parsed.name


class FunctionsRoute(APIRoute):
    """Says in AWS Lambda's words what the library refuses."""

    def get_route_handler(self) -> Handler:
        answer = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await answer(request)
            except (FunctionNotFoundError, FunctionConflictError, InvalidFunctionError) as error:
                raise _NAMES[type(error)](str(error)) from None
            except FunctionRevisionError as error:
                raise AwsError("PreconditionFailedException", 412, str(error)) from None
            except FunctionBusyError as error:
                extra = {"Reason": error.reason, "Type": "User"}
                raise AwsError(
                    "TooManyRequestsException", 429, str(error), extra=extra, headers={"Retry-After": "1"}
                ) from None
            except RequestValidationError as error:
                if error.errors()[0]["type"].startswith("json_"):
                    raise invalid_content("Could not parse request body into json.") from None
                raise
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                raise AwsError("CodeStorageExceededException", 400, "There is no room left for code here.") from None

        return handler


_NAMES: dict[type[Exception], Callable[[str], AwsError]] = {
    FunctionNotFoundError: lambda text: AwsError("ResourceNotFoundException", 404, text, extra={"Type": "User"}),
    FunctionConflictError: lambda text: AwsError("ResourceConflictException", 409, text, extra={"Type": "User"}),
    InvalidFunctionError: lambda text: AwsError("InvalidParameterValueException", 400, text, extra={"Type": "User"}),
}


def invalid_content(message: str) -> AwsError:
    """The body is not what it should be."""
    return AwsError("InvalidRequestContentException", 400, message, extra={"Type": "User"})


def not_found(message: str) -> AwsError:
    """There is no such thing."""
    return _NAMES[FunctionNotFoundError](message)
