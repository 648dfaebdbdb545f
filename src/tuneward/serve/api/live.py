"""`/api/live` and `/api/jobs/{job_id}/live`: what happens, as server-sent events, while it happens.

Each stream begins with `ready`. A sign of life, `alive`, comes every 15 seconds; where it stays away, the connection
is lost. At the end stands `end` with the reason: `stopping` (the server stops), `slow` (too much was not read), `key`
(the key expired or was revoked).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import Response
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool
from starlette.types import Message

from tuneward.accounts.principal import Principal
from tuneward.errors import StoreError
from tuneward.jobs.changes import events_after, newest_seq
from tuneward.jobs.problems import InvalidRequestError, ServiceError
from tuneward.serve.aws_errors import AwsError
from tuneward.serve.deps import Use, Viewer
from tuneward.serve.errors import ApiError
from tuneward.serve.live_hub import Frame, Listener, LiveHub, event_frame, plain_frame
from tuneward.serve.services import Services

routes = APIRouter(prefix="/api")

ALIVE_S = 15
LARGEST = 2**63 - 1
PAGE = 200
"""Events that are read at once for a stream that has to catch up."""

STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "Server-sent events.", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
}

Follow = Annotated[bool, Query(description="false: end after what there is already.")]


def _hub_of(request: Request) -> LiveHub:
    hub: LiveHub = request.app.state.live
    return hub


Hub = Annotated[LiveHub, Depends(_hub_of)]


@routes.get("/live", response_class=Response, responses=STREAM)
async def project(request: Request, caller: Viewer, services: Use, hub: Hub, follow: Follow = True) -> Response:
    """What changes in the project's jobs.

    `job`: a job's card, as `GET /api/jobs` has it, whenever something in it has changed. `counts`: how many jobs are in
    each state, whenever one has entered another. At the beginning come the cards of all jobs that have not ended.
    """
    return _stream(_of_project(hub, _listener(request, caller, services, None), follow=follow))


@routes.get("/jobs/{job_id}/live", response_class=Response, responses=STREAM)
async def job(
    job_id: str,
    request: Request,
    caller: Viewer,
    services: Use,
    hub: Hub,
    after: Annotated[
        int | None, Query(ge=0, le=LARGEST, description="Begin after the event of this `seq`; absent: with the next.")
    ] = None,
    last_event_id: Annotated[str | None, Header(description="As `after`, sent by browsers that reconnect.")] = None,
    follow: Follow = True,
) -> Response:
    """What happens in one job.

    `message` and `metrics`: an event, with its `seq` as the id, all of them and each once, in order. `job`: the job's
    card, whenever something in it has changed, after the events that changed it.
    """
    found = await run_in_threadpool(services.jobs.get, caller.project_id, job_id)
    after = _after(last_event_id, after)
    if after is None:
        after = await run_in_threadpool(services.database.read, lambda session: newest_seq(session, found.id))
    listener = _listener(request, caller, services, found.id)
    return _stream(_of_job(services, hub, listener, found.id, after, follow=follow))


def _after(last_event_id: str | None, after: int | None) -> int | None:
    if not last_event_id:
        return after
    if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 20):
        raise InvalidRequestError("Last-Event-ID is no id of an event of this stream.", param="last-event-id")
    return min(int(last_event_id), LARGEST)


async def _of_project(hub: LiveHub, listener: Listener, *, follow: bool) -> AsyncGenerator[bytes, None]:
    with hub.joined(listener):
        yield plain_frame("ready", {}).content
        if follow:
            async for frame in listener.frames():
                yield frame.content
            yield _end(listener).content


async def _of_job(
    services: Services, hub: LiveHub, listener: Listener, job_id: str, after: int, *, follow: bool
) -> AsyncGenerator[bytes, None]:
    """What is missing is read before the stream joins the others, and once more after it: nothing falls between."""
    yield plain_frame("ready", {"seq": after}, seq=after).content
    try:
        async for frame in _missed(services, job_id, after):
            after = frame.seq
            yield frame.content
        if not follow:
            return
        with hub.joined(listener, after=after):
            async for frame in _missed(services, job_id, after):
                after = frame.seq
                yield frame.content
            async for frame in listener.frames():
                if frame.seq == 0 or frame.seq > after:
                    after = max(after, frame.seq)
                    yield frame.content
            yield _end(listener).content
    except StoreError:  # the response has begun: the client comes again, and goes on where it was
        return


async def _missed(services: Services, job_id: str, after: int) -> AsyncIterator[Frame]:
    while True:
        page = await run_in_threadpool(
            services.database.read,
            lambda session: events_after(session, job_id, after, PAGE),  # noqa: B023
        )
        for event in page:
            yield event_frame(event)
        if len(page) < PAGE:
            return
        after = page[-1].seq


def _end(listener: Listener) -> Frame:
    return plain_frame("end", {"reason": listener.end})


def _stream(frames: AsyncIterator[bytes]) -> Response:
    return EventSourceResponse(
        frames, ping=ALIVE_S, ping_message_factory=lambda: ServerSentEvent("{}", event="alive"), sep="\n"
    )


def _listener(request: Request, caller: Principal, services: Services, job_id: str | None) -> Listener:
    async def is_welcome() -> bool:
        # The stream itself reads what the client sends, so that this must not; a GET has no body anyway.
        try:
            await services.authenticate(Request(request.scope, _nothing))
        except (ApiError, AwsError, ServiceError):
            return False
        return True

    return Listener(caller.project_id, job_id, caller.key_id, is_welcome)


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}
