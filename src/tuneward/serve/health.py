"""`/healthz`, `/readyz` and `/metrics`: for those who run the server."""

from __future__ import annotations

from fastapi import APIRouter

routes = APIRouter()
