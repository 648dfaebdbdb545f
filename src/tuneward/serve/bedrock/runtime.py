"""InvokeModel and Converse. Source: Bedrock RFT contract, section 8."""

from __future__ import annotations

from fastapi import APIRouter

routes = APIRouter()
