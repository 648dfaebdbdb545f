"""`/v1/uploads`. Source: OpenAI RFT contract, 2.2."""

from __future__ import annotations

from fastapi import APIRouter

routes = APIRouter()
