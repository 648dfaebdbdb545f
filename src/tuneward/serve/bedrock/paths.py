"""Path labels of AWS's clients, which percent-encode `:` and `/`: an ARN arrives as one label and stays one.

A route says `"/model/{model_id:label}/converse"` and its handler gets the label decoded (see `labels`), with slashes.
Source: Bedrock RFT contract, 8.0.
"""

from __future__ import annotations

from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

from tuneward.serve.errors import dialect_of


class RawPaths:
    """Lets routing see AWS's paths with the slashes inside of labels still encoded; OpenAI's paths stay decoded."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope.get("raw_path")
        if scope["type"] == "http" and raw and dialect_of(scope["path"]) != "openai":
            scope = {**scope, "path": _keep_labels(raw.decode("latin-1"))}
        await self._app(scope, receive, send)


def _keep_labels(raw: str) -> str:
    """Decode all but what would be lost: the slash, and the percent sign, so that decoding the rest is exact."""
    labels = (unquote(label).replace("%", "%25").replace("/", "%2F") for label in raw.split("/"))
    return "/".join(labels)
