"""Functions of AWS Lambda's API. Source: Bedrock RFT contract, 4.3."""

from __future__ import annotations

from fastapi import APIRouter

routes = APIRouter()
