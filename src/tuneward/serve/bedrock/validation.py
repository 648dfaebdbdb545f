"""Requests that break the service's model are refused in AWS's manner, all of their faults in one text.

Source: Bedrock RFT contract, 8.0: clients check neither maxima, patterns, enums nor the sizes of maps.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from tuneward.serve.aws_errors import AwsError

MOST_FAULTS = 10
"""Faults that one text lists."""

_CONSTRAINTS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "not be null",
    "string_pattern_mismatch": lambda limit: "satisfy regular expression pattern: " + limit["pattern"][4:-2],
    "string_too_short": lambda limit: f"have length greater than or equal to {limit['min_length']}",
    "string_too_long": lambda limit: f"have length less than or equal to {limit['max_length']}",
    "too_short": lambda limit: f"have length greater than or equal to {limit['min_length']}",
    "too_long": lambda limit: f"have length less than or equal to {limit['max_length']}",
    "greater_than_equal": lambda limit: f"have value greater than or equal to {limit['ge']}",
    "less_than_equal": lambda limit: f"have value less than or equal to {limit['le']}",
    "literal_error": lambda limit: (
        "satisfy enum value set: [" + limit["expected"].replace("'", "").replace(" or ", ", ") + "]"
    ),
    "extra_forbidden": lambda _: "not be present: no such member is known here",
}


class AwsRoute(APIRoute):
    """A route whose requests are refused with ValidationException."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_or_refuse(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                raise validation_exception(describe(error.errors())) from None

        return handle_or_refuse


def validation_exception(message: str) -> AwsError:
    """A refusal of a request for what it says."""
    return AwsError("ValidationException", 400, message)


def describe(faults: Sequence[Mapping[str, Any]]) -> str:
    """All faults of a request as one text."""
    texts = [_describe(fault) for fault in faults[:MOST_FAULTS]]
    noun = "error" if len(faults) == 1 else "errors"
    return f"{len(faults)} validation {noun} detected: " + "; ".join(texts)


def _describe(fault: Mapping[str, Any]) -> str:
    kind = fault["type"]
    place = _place(fault["loc"][1:])
    if kind == "json_invalid" or not place:
        return "the body is not a JSON object of type application/json"
    if kind == "value_error":
        return f"Value at '{place}' failed to satisfy constraint: {fault['ctx']['error']}"
    constraint = _CONSTRAINTS.get(kind)
    rule = constraint(fault.get("ctx", {})) if constraint else _kind_of(fault)
    value = "null" if kind == "missing" else f"'{_shown(fault['input'])}'"
    return f"Value {value} at '{place}' failed to satisfy constraint: Member must {rule}"


def _kind_of(fault: Mapping[str, Any]) -> str:
    """Of a value of a wrong type: the rule as pydantic puts it, "Input should be a valid integer"."""
    return str(fault["msg"]).removeprefix("Input should ")


def _place(location: Sequence[str | int]) -> str:
    """("jobTags", 0, "key") → `jobTags.1.member.key`."""
    return ".".join(f"{part + 1}.member" if isinstance(part, int) else part for part in location if part != "[key]")


def _shown(value: object) -> str:
    text = str(value)
    text = text if len(text) <= 200 else f"{text[:200]}…"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
