"""Everybody who watches jobs, and the one task that looks for changes on behalf of all of them.

It runs only while somebody watches. What it finds is written down as server-sent events once, and the same bytes go to
all whom they concern. A listener that does not take what it is given is let go; its client connects again, and goes on
after the last event that it has.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel
from sse_starlette.event import ServerSentEvent
from starlette.concurrency import run_in_threadpool

from tuneward.errors import StoreError
from tuneward.jobs.cards import JobCard
from tuneward.jobs.changes import ChangeReader, Changes
from tuneward.store.database import Database
from tuneward.store.tables import JobEvent

EVERY_S = 1.0
KEYS_EVERY_S = 5.0
"""How often the keys of listeners are looked at again."""
MOST_WAITING = 32
"""Looks whose findings wait for a listener."""

Reason = Literal["stopping", "slow", "key"]
"""Why a stream ends: the server stops, its client does not read, its key is not valid any more."""

_log = logging.getLogger(__name__)


class LiveEvent(BaseModel):
    """Data of an event `message` or `metrics`."""

    seq: int
    """Number, also the event's id: a stream goes on after it."""
    id: str
    """`ftevent-…`."""
    created_at: float
    level: str
    """`info`, `warn` or `error`."""
    code: str
    """What kind of message; of metrics the record's kind: `step`, `evaluation` or `preflight`."""
    message: str
    step: int | None
    data: dict[str, Any]
    """Of metrics: the record as docs/metrics.md describes it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One server-sent event."""

    content: bytes
    seq: int = 0
    """Of an event of a job; 0 for what has no place among them."""


@dataclass(eq=False)
class Listener:
    """One open stream."""

    project_id: str
    job_id: str | None
    """Bare id; None: all jobs of the project, as cards."""
    key_id: str
    is_welcome: Callable[[], Awaitable[bool]]
    """Whether its key is still valid; asked for one of all listeners with the same key."""
    end: Reason | None = None
    _waiting: asyncio.Queue[list[Frame]] = field(default_factory=lambda: asyncio.Queue(MOST_WAITING))

    def give(self, frames: list[Frame]) -> None:
        if self.end is not None:
            return
        try:
            self._waiting.put_nowait(frames)
        except asyncio.QueueFull:
            self.leave("slow")

    def leave(self, reason: Reason) -> None:
        """Let it go: what waits for it is not sent any more."""
        self.end = reason
        while not self._waiting.empty():
            self._waiting.get_nowait()
        self._waiting.put_nowait([])

    async def frames(self) -> AsyncIterator[Frame]:
        """What comes, until the listener is let go."""
        while True:
            for frame in await self._waiting.get():
                yield frame
            if self.end is not None:
                return


class LiveHub:
    """Where streams wait for changes; belongs to the event loop of the server.

    Args:
        database: of the server.
        every_s: how often it is looked for changes.
        keys_every_s: how often keys are looked at again.
    """

    def __init__(self, database: Database, *, every_s: float = EVERY_S, keys_every_s: float = KEYS_EVERY_S):
        self._reader = ChangeReader(database)
        self._every_s, self._keys_every_s = every_s, keys_every_s
        self._listeners: set[Listener] = set()
        self._heads: dict[str, int] = {}
        """Watched job → number of the last event that was given to its listeners."""
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def listening(self) -> int:
        """How many streams are open."""
        return len(self._listeners)

    @contextmanager
    def joined(self, listener: Listener, *, after: int = 0) -> Iterator[Listener]:
        """A listener that is given what is found, as long as the block lasts.

        Args:
            listener: not used before.
            after: number of an event of its job; only later ones are looked for.
        """
        self._listeners.add(listener)
        if listener.job_id is not None:
            self._heads.setdefault(listener.job_id, after)
        if self._is_closed:
            listener.leave("stopping")
        elif self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            watched = {other.job_id for other in self._listeners}
            self._heads = {job_id: seq for job_id, seq in self._heads.items() if job_id in watched}

    def close(self) -> None:
        """Let everybody go, and take nobody any more. To be called in the event loop."""
        self._is_closed = True
        for listener in self._listeners:
            listener.leave("stopping")
        if self._task is not None:
            self._task.cancel()

    async def _work(self) -> None:
        """Look, tell, wait; until nobody listens."""
        loop = asyncio.get_running_loop()
        keys_at = loop.time() + self._keys_every_s
        while self._listeners:
            started_at = loop.time()
            try:
                await self._look()
                if started_at >= keys_at:
                    keys_at = started_at + self._keys_every_s
                    await self._ask_for_keys()
            except StoreError as error:
                _log.warning("Live streams have nothing to tell for the moment: %s", error)
            await asyncio.sleep(max(0.0, started_at + self._every_s - loop.time()))

    async def _look(self) -> None:
        projects = {listener.project_id for listener in self._listeners if listener.job_id is None}
        found = await run_in_threadpool(self._reader.look, projects, dict(self._heads))
        for event in found.events:
            if event.job_id in self._heads:
                self._heads[event.job_id] = max(self._heads[event.job_id], event.seq)
        for (project_id, job_id), frames in _by_topic(found).items():
            for listener in self._listeners:
                if (listener.project_id, listener.job_id) == (project_id, job_id) and frames:
                    listener.give(frames)

    async def _ask_for_keys(self) -> None:
        one_of_each = {listener.key_id: listener for listener in self._listeners}
        for key_id, asked in one_of_each.items():
            if await asked.is_welcome():
                continue
            for listener in self._listeners:
                if listener.key_id == key_id:
                    listener.leave("key")


def card_frame(card: JobCard) -> Frame:
    """`event: job`."""
    return Frame(_encoded("job", card.model_dump_json()))


def event_frame(event: JobEvent) -> Frame:
    """`event: message` or `event: metrics`, with its number as the id."""
    step = event.data.get("step")
    told = LiveEvent(
        seq=event.seq,
        id=event.id,
        created_at=event.created_at,
        level=event.level,
        code=event.code,
        message=event.message,
        step=step if isinstance(step, int) else None,
        data=event.data,
    )
    return Frame(_encoded(event.type, told.model_dump_json(), event.seq), event.seq)


def plain_frame(kind: str, data: object, *, seq: int | None = None) -> Frame:
    """An event of another type; `seq` becomes its id, from which a client goes on."""
    return Frame(_encoded(kind, json.dumps(data), seq))


def _encoded(kind: str, data: str, seq: int | None = None) -> bytes:
    return ServerSentEvent(data, event=kind, id=None if seq is None else str(seq), sep="\n").encode()


def _by_topic(found: Changes) -> dict[tuple[str, str | None], list[Frame]]:
    """Findings by whom they concern: listeners of a job, and those of a whole project (job None)."""
    topics: dict[tuple[str, str | None], list[Frame]] = {}
    by_job: dict[str, list[Frame]] = {}
    for event in found.events:
        by_job.setdefault(event.job_id, []).append(event_frame(event))
    for project_id, card in found.cards:
        job_id, frame = card.id.removeprefix("ftjob-"), card_frame(card)
        # After a job's events: whoever sees that it has ended has all of them.
        topics[project_id, job_id] = [*by_job.get(job_id, ()), frame]
        topics.setdefault((project_id, None), []).append(frame)
    for project_id, counts in found.counts.items():
        topics.setdefault((project_id, None), []).append(plain_frame("counts", counts))
    return topics
