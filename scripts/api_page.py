"""docs/api.md: the routes under `/api`, from the server's own description."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from tuneward.config import ServerConfig
from tuneward.serve.app import create_app
from tuneward.serve.auth import fixed_key
from tuneward.serve.build import build_services
from tuneward.serve.catalog import FixedCatalog

INTRODUCTION = """\
# The routes under /api

What neither of the two dialects has: signing in, live events, curves, rollouts, forecasts, tests of rewards, settings.
The console is made of these routes and of the dialects' own; everything it does, a script can do. Keys and roles are
the same ([security](security.md)); failures have OpenAI's form, `{"error": {"message", "type", "param", "code"}}`.
`GET /openapi.json` has all of it in full, with every field's type and limits.
This page is written from the server's description by `make docs`.
"""
METHODS = ("get", "post", "put", "patch", "delete")


def api_page() -> str:
    """The page's text."""
    with tempfile.TemporaryDirectory() as home:
        app = create_app(build_services(ServerConfig(home=Path(home)), FixedCatalog([]), fixed_key(None)))
        described = app.openapi()
    lines = INTRODUCTION.splitlines()
    for path in sorted(path for path in described["paths"] if path.startswith("/api/")):
        for method in METHODS:
            if method in described["paths"][path]:
                lines += _route(f"{method.upper()} {path}", described["paths"][path][method], described)
    return "\n".join(lines) + "\n"


def _route(name: str, route: dict[str, Any], described: dict[str, Any]) -> list[str]:
    lines = ["", f"## `{name}`", ""]
    if text := _text(route.get("description")):
        lines += [text, ""]
    given = [p for p in route.get("parameters", []) if p["in"] != "header"]
    rows = [
        (f"{parameter['name']} ({parameter['in']})", _kind(parameter["schema"]), _text(parameter.get("description")))
        for parameter in given
    ]
    body = route.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    rows += _fields(body, described) if body else []
    if rows:
        lines += ["| | | |", "|---|---|---|"]
        lines += [f"| `{name}` | {kind} | {text} |" for name, kind, text in rows]
    answer = next((r for code, r in route["responses"].items() if code.startswith("2")), {})
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    if fields := _fields(schema, described):
        lines += ["", "Answers " + ", ".join(f"`{name}`" for name, _, _ in fields) + "."]
    return lines if lines[-1] else lines[:-1]


def _fields(schema: dict[str, Any], described: dict[str, Any]) -> list[tuple[str, str, str]]:
    schema = _resolved(schema, described)
    return [
        (
            name,
            _kind(field) + ("" if name in schema.get("required", ()) else ", optional"),
            _text(_about(field, described)),
        )
        for name, field in schema.get("properties", {}).items()
    ]


def _about(field: dict[str, Any], described: dict[str, Any]) -> str | None:
    return field.get("description") or ("$ref" in field and _resolved(field, described).get("description")) or None


def _resolved(schema: dict[str, Any], described: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = described["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        # Names that are not unique carry their module; bodies and answers of one model their direction.
        return re.sub(r"^.*__|-(Input|Output)$", "", schema["$ref"].rsplit("/", 1)[1])
    if "anyOf" in schema:
        kinds = [_kind(one) for one in schema["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("type", "any"))


def _text(description: str | None) -> str:
    return " ".join((description or "").split()).replace("|", "\\|")
