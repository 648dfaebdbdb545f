"""What stands between the socket and the routes, from the outside in: observation, audit, bodies, keys, strictness."""

from __future__ import annotations

import time
from collections.abc import Callable

from fastapi import FastAPI

from tuneward.accounts.trail import Trail
from tuneward.serve.api.session import ATTEMPTS_PER_MINUTE, CookieKeys
from tuneward.serve.audit import Audited
from tuneward.serve.bodies import BodyLimits
from tuneward.serve.gate import Gate
from tuneward.serve.limits import Bucket, RateLimits
from tuneward.serve.metrics import Metrics
from tuneward.serve.observe import Observed
from tuneward.serve.services import Services
from tuneward.serve.strict_requests import StrictRequests


def install(app: FastAPI, services: Services) -> Callable[[], None]:
    """Guard an application.

    Returns:
        What is to be called when the application stops.
    """
    app.state.metrics = metrics = Metrics(services.database, getattr(services.catalog, "loaded_count", None))
    app.state.trail = trail = Trail(services.database)
    limits = services.config.limits
    # Starlette calls what was added last first.
    app.add_middleware(StrictRequests)
    app.state.sign_ins = Bucket(ATTEMPTS_PER_MINUTE, time.monotonic)
    app.add_middleware(Gate, authenticate=services.authenticate, limits=RateLimits(limits), metrics=metrics)
    app.add_middleware(CookieKeys)
    app.add_middleware(BodyLimits, limits=limits)
    app.add_middleware(Audited, trail=trail)
    app.add_middleware(Observed, metrics=metrics)
    return trail.close
