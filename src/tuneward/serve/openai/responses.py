"""`/v1/responses`. Source: OpenAI RFT contract, 7.3."""

from __future__ import annotations

from fastapi import APIRouter

routes = APIRouter()
