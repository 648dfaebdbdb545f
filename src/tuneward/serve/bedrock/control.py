"""Customization jobs, custom models, deployments, tags, logging. Source: Bedrock RFT contract, section 8."""

from __future__ import annotations

from fastapi import APIRouter

routes = APIRouter()
