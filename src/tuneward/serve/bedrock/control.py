"""The control plane: customization jobs, custom models, deployments, base models, tags and logging.

Source: Bedrock RFT contract, 8.1 to 8.7.
"""

from __future__ import annotations

from fastapi import APIRouter

from tuneward.serve.bedrock import absent, deployments, foundation, jobs, logging_config, models, tags

routes = APIRouter()
for part in (absent, jobs, models, deployments, foundation, tags, logging_config):
    routes.include_router(part.routes)
