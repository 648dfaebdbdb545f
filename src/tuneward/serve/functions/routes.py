"""The dialect of AWS Lambda over a project's reward functions. Source: Bedrock RFT contract, 4.3."""

from __future__ import annotations

from fastapi import APIRouter

from tuneward.serve.functions import aliases, attributes, code, configuration, downloads, invoke, permissions, versions

routes = APIRouter()
for part in (configuration, code, versions, aliases, invoke, permissions, attributes, downloads):
    routes.include_router(part.routes)
