"""Creating a job once, however often a client sends the request.

Clients repeat a request whose answer did not come, and count the repeats in a header. A repeat is answered with the
job that the same key made from the same body a short while ago. `Idempotency-Key` does the same for as long as the
job is there, also when several servers share a database.

Source: OpenAI RFT contract, 1.2 and 1.4.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping

from sqlalchemy import select

from tuneward.accounts.principal import Principal
from tuneward.jobs.problems import InvalidRequestError
from tuneward.jobs.service import NewJob
from tuneward.serve.services import Services
from tuneward.store.tables import Job
from tuneward.types import Json

REPEATED_WITHIN_S = 3600.0
"""Longer than a client's time limit (600 s) for each of its tries."""

KEY_LENGTH = 255

_turns = tuple(threading.Lock() for _ in range(64))


def create_once(
    sent: Mapping[str, Json],
    make: Callable[[str | None], NewJob],
    services: Services,
    principal: Principal,
    *,
    kind: str,
    key: str | None = None,
    is_repeat: bool = False,
) -> Job:
    """The job of a request.

    Args:
        sent: the body as it came; the job's `request`.
        make: the job to be stored, under a token that a second job of the same key would have.
        services: of the server.
        principal: who asks.
        kind: whose keys these are; two APIs may be sent the same key for different jobs.
        key: `Idempotency-Key`, if there is one.
        is_repeat: the client says that it has sent this before.

    Raises:
        InvalidRequestError: the key came with another body before; and as `make` and `JobService.create`.
    """
    if key is not None and not (0 < len(key) <= KEY_LENGTH and key.isprintable()):
        message = f"Idempotency-Key must have 1 to {KEY_LENGTH} printable characters."
        raise InvalidRequestError(message, code="invalid_value")
    # A repeat may come while the first request is still being worked on, so the two take turns.
    with _turns[_number(principal.key_id, key or sent)]:
        made = _made_before(services, principal, sent) if is_repeat and key is None else None
        if made is None:
            made = services.jobs.create(principal, make(None if key is None else f"{kind}:{key}"))
    if made.request != sent:
        message = "This Idempotency-Key came with another body before; use a new one."
        raise InvalidRequestError(message, code="idempotency_key_reused")
    return made


def _made_before(services: Services, principal: Principal, request: Mapping[str, Json]) -> Job | None:
    query = (
        select(Job)
        .where(
            Job.project_id == principal.project_id,
            Job.created_by == principal.key_id,
            Job.created_at > time.time() - REPEATED_WITHIN_S,
        )
        .order_by(Job.created_at.desc())
    )
    recent = services.database.read(lambda session: session.scalars(query).all())
    return next((job for job in recent if job.request == request), None)


def _number(*parts: object) -> int:
    text = json.dumps(parts, sort_keys=True).encode()
    return hashlib.sha256(text).digest()[0] % len(_turns)
