"""All routes of an application, and the role each asks for."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute


@dataclass(frozen=True)
class Listed:
    """One way to call a route."""

    method: str
    path: str
    """Template, such as `/v1/files/{file_id}`."""
    roles: tuple[str, ...]
    """Of its role dependencies."""

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


def all_routes(app: FastAPI) -> list[Listed]:
    """By path, then method."""
    listed = [
        Listed(method, prefix + route.path, tuple(_roles(route.dependant)))
        for prefix, route in _api_routes(app.routes, "")
        for method in route.methods
    ]
    assert len(listed) > 10, "the routes of this version of FastAPI are not found"
    return sorted(listed, key=lambda one: (one.path, one.method))


def _api_routes(routes: Any, prefix: str) -> Iterator[tuple[str, APIRoute]]:
    for route in routes:
        if isinstance(route, APIRoute):
            yield prefix, route
        elif inner := getattr(route, "original_router", None):  # newer versions of FastAPI keep included routers apart
            yield from _api_routes(inner.routes, prefix + route.include_context.prefix)


def _roles(dependant: Any) -> Iterator[str]:
    for inner in dependant.dependencies:
        if inner.call.__qualname__ == "allow.<locals>.caller":
            yield inspect.getclosurevars(inner.call).nonlocals["role"]
        yield from _roles(inner)
