"""`/v1/fine_tuning/checkpoints/{model}/permissions`. Source: OpenAI RFT contract, 3.8."""

from __future__ import annotations

from fastapi import APIRouter

routes = APIRouter()
