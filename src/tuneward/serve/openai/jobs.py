"""`/v1/fine_tuning/jobs`. Source: OpenAI RFT contract, section 3."""

from __future__ import annotations

from fastapi import APIRouter

routes = APIRouter()
