"""Answers of the Responses API that are kept. Source: OpenAI RFT contract, 7.3; Bedrock RFT contract, 7.6 (30 days)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from tuneward.jobs.problems import ObjectNotFoundError
from tuneward.store.database import Database
from tuneward.store.tables import StoredResponse
from tuneward.types import Json

KEPT_S = 30 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class KeptResponse:
    """An answer, and what it answered."""

    body: dict[str, Any]
    input: list[Any]
    """Items."""
    messages: list[Any]
    """The conversation up to and including it, without instructions."""


class ResponseStore:
    """Answers of all projects; every method looks only at the caller's."""

    def __init__(self, database: Database):
        self._database = database

    def add(self, project_id: str, body: dict[str, Json], items: list[Json], messages: list[Json]) -> None:
        """Keep an answer for 30 days; those whose time is over go. Raises StoreError."""
        now = time.time()

        def work(session: Session) -> None:
            session.execute(delete(StoredResponse).where(StoredResponse.expires_at < now))
            session.add(
                StoredResponse(
                    id=body["id"],
                    project_id=project_id,
                    body={"response": body, "input": items},
                    messages=messages,
                    created_at=now,
                    expires_at=now + KEPT_S,
                )
            )

        self._database.write(work)

    def get(self, project_id: str, response_id: str, *, param: str = "response_id") -> KeptResponse:
        """Raises ObjectNotFoundError."""

        def work(session: Session) -> KeptResponse:
            row = _find(session, project_id, response_id, param)
            return KeptResponse(row.body["response"], row.body["input"], row.messages)

        return self._database.read(work)

    def delete(self, project_id: str, response_id: str) -> None:
        """Raises ObjectNotFoundError."""
        self._database.write(lambda session: session.delete(_find(session, project_id, response_id, "response_id")))


def _find(session: Session, project_id: str, response_id: str, param: str) -> StoredResponse:
    row = session.get(StoredResponse, response_id)
    if row is None or row.project_id != project_id or row.expires_at < time.time():
        raise ObjectNotFoundError(
            f"Response with id '{response_id[:80]}' not found.", param=param, code="response_not_found"
        )
    return row
