"""The web console: files that are read once and served from memory, compressed as they were built.

Every page has the same small HTML, which loads the application; what it shows comes from the API. Nothing here needs a
key, as nothing here is anybody's.
"""

from __future__ import annotations

import hashlib
import mimetypes
import os
import re
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

FOLDER_VARIABLE = "TUNEWARD_CONSOLE"
"""Environment variable: another folder with a built console, for working on it."""

PAGES = re.compile(r"/(?:(?:new|jobs|models|playground|functions|settings|sign-in)(?:/.*)?)?", re.DOTALL)
"""Paths of the application; none is a path of an API."""
ASSETS = "/assets/"
FAVICON = "/favicon.svg"
_HASHED = re.compile(r"-[\w-]{8}\.\w+$")
"""The build puts a hash of the content into names, so that such a file never changes."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SAFETY = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
MISSING = (
    "The console is not built in this copy of Tuneward. `make console` builds it (it fetches what it needs); released "
    "packages contain it. The APIs work without it.\n"
)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the console."""

    content: bytes
    kind: str
    etag: str
    compressed: dict[str, bytes]
    """Encoding → content."""


def console_folder() -> Path:
    """Where the built console lies."""
    return Path(os.environ.get(FOLDER_VARIABLE) or Path(__file__).parents[1] / "console")


def read_console(folder: Path) -> dict[str, Asset]:
    """Path → file; empty when the console has not been built."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".gz", ".br"))
    found = {}
    for path in files:
        content = path.read_bytes()
        compressed = {
            encoding: Path(f"{path}{suffix}").read_bytes()
            for encoding, suffix in (("br", ".br"), ("gzip", ".gz"))
            if Path(f"{path}{suffix}").is_file()
        }
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
        found["/" + path.relative_to(folder).as_posix()] = Asset(content, kind, etag, compressed)
    return found


def is_console(method: str, path: str) -> bool:
    """Whether a request is for the console's own files."""
    return method in ("GET", "HEAD") and (
        PAGES.fullmatch(path) is not None or path.startswith(ASSETS) or path == FAVICON
    )


class Console:
    """Answers what is the console's, and passes on everything else."""

    def __init__(self, app: ASGIApp, *, folder: Path):
        self._app = app
        self._assets = read_console(folder)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and is_console(scope["method"], scope["path"]):
            await self._answer(Request(scope))(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        path = request.scope["path"]
        is_page = PAGES.fullmatch(path) is not None
        asset = self._assets.get("/index.html" if is_page else path)
        if asset is None:
            return PlainTextResponse(MISSING if is_page else "Not found\n", 404, headers=SAFETY)
        caching = "no-cache" if is_page or not _HASHED.search(path) else "public, max-age=31536000, immutable"
        headers = {**SAFETY, "etag": asset.etag, "cache-control": caching, "vary": "accept-encoding"}
        if request.headers.get("if-none-match") == asset.etag:
            return Response(status_code=304, headers=headers)
        content = asset.content
        accepted = {word.split(";")[0].strip() for word in request.headers.get("accept-encoding", "").split(",")}
        for encoding, smaller in asset.compressed.items():
            if encoding in accepted:
                content, headers["content-encoding"] = smaller, encoding
                break
        return Response(b"" if request.method == "HEAD" else content, headers=headers, media_type=asset.kind)


def install(app: FastAPI) -> None:
    """Serve the console beside the routes of an application."""
    app.add_middleware(Console, folder=console_folder())
