"""`/v1/files`. Source: OpenAI RFT contract, 2.1."""

from __future__ import annotations

from fastapi import APIRouter

routes = APIRouter()
