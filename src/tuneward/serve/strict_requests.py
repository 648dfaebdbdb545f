"""Requests that are well-formed in the letter and break what reads them: refused with 400 before anything does.

NUL characters, which PostgreSQL cannot keep; JSON nested so deeply that it exhausts a stack; numbers that are no JSON
or fit nowhere; halves of surrogate pairs, which UTF-8 cannot write.
"""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tuneward.data.strict_json import MAX_DEPTH, deeper_than
from tuneward.serve.errors import ApiError, dialect_of

LARGEST_INTEGER = 2**63
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)?(:[0-9]{1,5})?")
_JSON_TYPE = re.compile(rb"\s*application/([^;]*\+)?json\s*(;.*)?", re.IGNORECASE)
_SUSPECT = re.compile(rb"NaN|Infinity|\\u[dD][89a-fA-F]|\\u0000|\d{19}|[eE]\+?\d{3}|\xed[\xa0-\xbf]")
"""Bodies without any of these, and with few brackets, need no second parsing."""
IN_THREAD_BYTES = 100_000


class StrictRequests:
    """Looks at the address and at JSON bodies, which are read whole; others pass as they come."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem = _address_problem(scope)
        if problem is None and _is_json(scope):
            body, receive = await _whole(receive)
            look = _body_problem if len(body) < IN_THREAD_BYTES else None
            problem = look(body) if look else await run_in_threadpool(_body_problem, body)
        if problem is not None:
            failure = ApiError(400, problem, code="invalid_json" if problem.startswith("The body") else "invalid_value")
            await failure.response(dialect_of(scope["path"]))(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _address_problem(scope: Scope) -> str | None:
    if b"%00" in scope.get("raw_path", b"") or "\0" in scope["path"] or b"%00" in scope["query_string"]:
        return "The address holds the character NUL."
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if any(not _HOST.fullmatch(host) for host in hosts):
        return "The header Host is no name and port."
    return None


def _is_json(scope: Scope) -> bool:
    if scope["method"] not in ("POST", "PUT", "PATCH", "DELETE"):
        return False
    # AWS's clients do not always say that what they send is JSON; OpenAI's do, and their other bodies are forms.
    kinds = [value for name, value in scope["headers"] if name == b"content-type"]
    return any(_JSON_TYPE.fullmatch(kind) for kind in kinds) or dialect_of(scope["path"]) != "openai"


async def _whole(receive: Receive) -> tuple[bytes, Receive]:
    """A body, and a `receive` that gives it again."""
    parts = bytearray()
    last: Message = {"more_body": True}
    while last.get("more_body"):
        last = await receive()
        parts += last.get("body", b"")
    body = bytes(parts)
    is_given = False

    async def again() -> Message:
        nonlocal is_given
        if is_given or last["type"] == "http.disconnect":
            return last if last["type"] == "http.disconnect" else await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return body, again


class _NumberError(ValueError):
    """A number that is no JSON, or fits nowhere."""


def _body_problem(body: bytes) -> str | None:
    """What no route should see; a body that is no JSON at all is the route's to refuse."""
    is_deep = body.count(b"[") + body.count(b"{") > MAX_DEPTH
    if b"\0" not in body and not is_deep and not _SUSPECT.search(body):
        return None
    try:
        value = json.loads(body, parse_constant=_no_constant, parse_float=_float, parse_int=_integer)
    except _NumberError as error:
        return f"The body holds {error}."
    except RecursionError:
        return f"The body nests arrays and objects more than {MAX_DEPTH} deep."
    except ValueError:
        return None
    if is_deep and deeper_than(value, MAX_DEPTH):
        return f"The body nests arrays and objects more than {MAX_DEPTH} deep."
    try:
        text = json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return "The body holds half of a surrogate pair, which is no character."
    return "The body holds the character NUL." if rb"\u0000" in text.replace(rb"\\", b"") else None


def _no_constant(text: str) -> NoReturn:
    raise _NumberError(f"{text}, which is not JSON")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _NumberError(f"the number {text[:20]}, which is too large")
    return number


def _integer(text: str) -> int:
    if len(text) > 20 or abs(number := int(text)) >= LARGEST_INTEGER:
        raise _NumberError(f"the integer {text[:20]}, which has more than 63 bits")
    return number
