"""Live streams: whoever watches a job gets every event once, however often the connection breaks."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session
from tests.serve.accounts import bearer
from tests.service import app_with

from tuneward.accounts.keys import create_key, revoke_key
from tuneward.accounts.principal import DEFAULT_PROJECT, Principal
from tuneward.accounts.projects import DEFAULT_ACCOUNT
from tuneward.config import ServerConfig
from tuneward.jobs.places import open_database
from tuneward.jobs.service import NewJob, add_event, find_job
from tuneward.jobs.spec import FileSource, JobSpec
from tuneward.jobs.states import Action
from tuneward.serve.api.live import _of_job
from tuneward.serve.auth import Authenticate, KeyAuthenticator
from tuneward.serve.live_hub import Frame, Listener, LiveHub
from tuneward.serve.server import Server, bind
from tuneward.serve.services import Services
from tuneward.store.tables import Job

CALLER = Principal("key_test", DEFAULT_PROJECT, DEFAULT_ACCOUNT, "developer")
NEW = NewJob(
    "openai", "tiny", JobSpec(method="reinforcement", base_model="tiny", training=FileSource(file_id="file-1")), {}
)
PATIENCE_S = 30.0


@dataclass
class Live:
    """A running server whose hub looks often."""

    server: Server
    services: Services
    hub: LiveHub

    @property
    def url(self) -> str:
        return self.server.url

    def create(self) -> Job:
        return self.services.jobs.create(CALLER, NEW)

    def say(self, job: Job, *messages: str) -> None:
        def work(session: Session) -> None:
            row = find_job(session, DEFAULT_PROJECT, job.id)
            for message in messages:
                add_event(session, row, "said", message)

        self.services.database.write(work)

    def step(self, job: Job, number: int) -> None:
        def work(session: Session) -> None:
            row = find_job(session, DEFAULT_PROJECT, job.id)
            row.progress = {**row.progress, "step": number}
            add_event(
                session, row, "step", "", kind="metrics", data={"kind": "step", "step": number, "reward_mean": 0.5}
            )

        self.services.database.write(work)

    @contextmanager
    def stream(self, path: str, *, key: str = "any", **headers: str) -> Iterator[Iterator[Sent]]:
        """Events of a stream as they come, without signs of life."""
        with (
            httpx.Client(base_url=self.url, timeout=PATIENCE_S) as client,
            client.stream("GET", path, headers=bearer(key) | headers) as response,
        ):
            assert response.status_code == 200, response.read()
            assert response.headers["content-type"].startswith("text/event-stream")
            yield sent(response)

    def wait_for_listeners(self, count: int) -> None:
        wait_for(lambda: self.hub.listening == count)


@dataclass(frozen=True)
class Sent:
    """A server-sent event."""

    type: str
    id: str
    data: Any


def sent(response: httpx.Response) -> Iterator[Sent]:
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            if fields["event"] != "alive":
                yield Sent(fields["event"], fields.get("id", ""), json.loads(fields["data"]))
            fields = {}


def wait_for(condition: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_at, "waited in vain"
        time.sleep(0.01)


def until(stream: Iterator[Sent], condition: Callable[[Sent], bool]) -> list[Sent]:
    """Events up to the first that is meant."""
    seen = []
    for one in stream:
        seen.append(one)
        if condition(one):
            return seen
    raise AssertionError(f"the stream has ended: {seen}")


def said(events: list[Sent]) -> list[str]:
    return [one.data["message"] for one in events if one.type == "message"]


@contextmanager
def serving(home: Path, authenticate: Authenticate | None = None) -> Iterator[Live]:
    app = app_with(home, authenticate=authenticate)
    app.state.live = hub = LiveHub(app.state.services.database, every_s=0.05, keys_every_s=0.1)
    with Server(app, bind("127.0.0.1", 0)) as server:
        yield Live(server, app.state.services, hub)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with serving(tmp_path_factory.mktemp("home")) as made:
        yield made


def test_a_job_is_told_of_as_it_goes(live: Live) -> None:
    job = live.create()
    with live.stream(f"/api/jobs/{job.id}/live") as stream:
        ready = next(stream)
        assert ready.type == "ready"
        live.say(job, "hello")
        (*_, hello) = until(stream, lambda one: one.type == "message")
        assert hello.data["message"] == "hello"
        assert int(hello.id) == hello.data["seq"] > int(ready.id)
        live.step(job, 3)
        metrics, card = until(stream, lambda one: one.type == "job" and one.data["step"] == 3)[-2:]
        assert (metrics.type, metrics.data["code"], metrics.data["step"]) == ("metrics", "step", 3)
        assert metrics.data["data"]["reward_mean"] == 0.5
        assert (card.data["id"], card.id) == (f"ftjob-{job.id}", "")


def test_a_stream_begins_where_it_is_asked_to(live: Live) -> None:
    job = live.create()
    live.say(job, "one", "two", "three")
    with live.stream(f"/api/jobs/{job.id}/live?after=0") as stream:
        everything = until(stream, lambda one: one.data.get("message") == "three")
    assert said(everything)[1:] == ["one", "two", "three"]
    seq = next(one.data["seq"] for one in everything if one.data.get("message") == "one")
    for path, headers in ((f"?after={seq}", {}), ("?after=0", {"Last-Event-ID": str(seq)})):
        with live.stream(f"/api/jobs/{job.id}/live{path}", **headers) as stream:
            assert said(until(stream, lambda one: one.data.get("message") == "three")) == ["two", "three"]


def test_what_there_is_can_be_read_without_waiting_for_more(live: Live) -> None:
    job = live.create()
    live.say(job, *(str(number) for number in range(450)))  # several pages
    with live.stream(f"/api/jobs/{job.id}/live?after=0&follow=false") as stream:
        assert said(list(stream))[1:] == [str(number) for number in range(450)]
    with live.stream("/api/live?follow=false") as stream:
        assert [one.type for one in stream] == ["ready"]


def test_nothing_is_lost_or_repeated_however_often_the_connection_breaks(live: Live) -> None:
    """Events are written all the while; the client hangs up after each few, and comes again."""
    job, other = live.create(), live.create()
    total, written, seen, last = 120, 0, [], "0"
    with live.stream(f"/api/jobs/{other.id}/live"):  # the task that looks goes on between two connections
        while len(seen) < total:
            with live.stream(f"/api/jobs/{job.id}/live", **{"Last-Event-ID": last}) as stream:
                next(stream)
                for _ in range(3):
                    batch = [str(number) for number in range(written, min(total, written + 7))]
                    written += len(batch)
                    live.say(job, *batch)
                for one in stream:
                    if one.id:
                        last = one.id
                    if one.type == "message" and one.data["code"] == "said":
                        seen.append(one.data["message"])
                        if len(seen) % 11 == 0 or len(seen) == total:
                            break
    assert seen == [str(number) for number in range(total)]


def test_what_was_read_already_does_not_come_again_with_the_others(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream reads what it missed while a look that finds the same is still under way."""
    job = live.create()
    look, may_look, is_looking = live.hub._reader.look, threading.Event(), threading.Event()

    def held(*given: Any) -> Any:
        is_looking.set()
        assert may_look.wait(PATIENCE_S)
        return look(*given)

    with live.stream(f"/api/jobs/{job.id}/live") as early, ExitStack() as stack:
        next(early)
        stack.callback(may_look.set)
        monkeypatch.setattr(live.hub._reader, "look", held)
        assert is_looking.wait(PATIENCE_S)
        live.say(job, "one")
        with live.stream(f"/api/jobs/{job.id}/live?after=0") as late:
            seen = until(late, lambda one: one.data.get("message") == "one")
            live.wait_for_listeners(2)
            may_look.set()
            assert said(until(early, lambda one: one.data.get("message") == "one")) == ["one"]
            live.say(job, "two")
            seen += until(late, lambda one: one.data.get("message") == "two")
            assert said(seen)[1:] == ["one", "two"]


def test_what_others_were_told_just_before_a_stream_joined_them_is_not_lost(live: Live) -> None:
    job = live.create()

    class Busy(LiveHub):
        """Tells the others of an event in the very moment before somebody joins."""

        def joined(self, listener: Listener, *, after: int = 0) -> AbstractContextManager[Listener]:
            live.say(job, "between")
            self._heads[job.id] = live.services.jobs.events(DEFAULT_PROJECT, job.id).items[0].seq
            return super().joined(listener, after=after)

    async def read() -> str:
        hub = Busy(live.services.database)
        frames = _of_job(live.services, hub, listener(job_id=job.id), job.id, 0, follow=True)
        async with asyncio.timeout(PATIENCE_S), aclosing(frames):
            text = ""
            while "between" not in text:
                text += (await anext(frames)).decode()
        return text

    assert asyncio.run(read()).count("between") == 1


def test_a_project_is_told_of_jobs_that_change(live: Live) -> None:
    with live.stream("/api/live") as stream:
        assert next(stream).type == "ready"
        job = live.create()
        is_mine = lambda one: one.data.get("id") == f"ftjob-{job.id}"  # noqa: E731
        (*_, card) = until(stream, is_mine)
        assert (card.type, card.data["state"]) == ("job", "validating")
        live.services.jobs.act(DEFAULT_PROJECT, job.id, Action.CANCEL)
        (*_, counts) = until(stream, lambda one: one.type == "counts" and "cancelled" in one.data)
        assert counts.data["cancelled"] >= 1


def test_another_projects_jobs_are_not_told_of(live: Live) -> None:
    asyncio.run(_foreign_jobs(live.services))


async def _foreign_jobs(services: Services) -> None:
    hub = LiveHub(services.database, every_s=0.01)
    job = services.jobs.create(CALLER, NEW)
    mine, theirs = listener(), listener("proj_else")
    with hub.joined(theirs), hub.joined(mine):
        frames = mine.frames()
        async with asyncio.timeout(PATIENCE_S):
            while job.id.encode() not in (await anext(frames)).content:
                pass
        assert theirs._waiting.empty()


def listener(project_id: str = DEFAULT_PROJECT, job_id: str | None = None) -> Listener:
    async def is_welcome() -> bool:
        return True

    return Listener(project_id, job_id, "key_test", is_welcome)


def test_twenty_who_listen_cost_as_many_queries_as_one(live: Live) -> None:
    jobs = [live.create() for _ in range(20)]
    queries: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        queries.append(statement)

    async def looks(hub: LiveHub, count: int) -> None:
        made = 0
        look = hub._reader.look

        def counted(*given: Any) -> Any:
            nonlocal made
            made += 1
            return look(*given)

        hub._reader.look = counted  # type: ignore[method-assign]
        while made < count:
            await asyncio.sleep(0.001)

    async def listen(count: int) -> float:
        """Queries of each look at jobs in which nothing happens."""
        hub = LiveHub(live.services.database, every_s=0.001)
        with ExitStack() as stack:
            for number in range(count):
                one = listener(job_id=jobs[number].id if number % 2 else None)
                stack.enter_context(hub.joined(one, after=10**9))
            async with asyncio.timeout(PATIENCE_S):
                await looks(hub, 2)
                queries.clear()
                await looks(hub, 10)
        return len([query for query in queries if query.startswith("SELECT")]) / 10

    event.listen(live.services.database.engine, "before_cursor_execute", note)
    one, twenty = asyncio.run(listen(1)), asyncio.run(listen(20))
    event.remove(live.services.database.engine, "before_cursor_execute", note)
    assert round(one) == round(twenty) == 1


def test_nobody_looks_when_nobody_listens(live: Live) -> None:
    with live.stream("/api/live") as stream:
        next(stream)
        live.wait_for_listeners(1)
        task = live.hub._task
        assert task is not None
        assert not task.done()
    live.wait_for_listeners(0)
    wait_for(task.done)


def test_a_listener_that_takes_nothing_is_let_go(live: Live) -> None:
    asyncio.run(_slow(live.services))


async def _slow(services: Services) -> None:
    hub = LiveHub(services.database)
    slow, quick = listener(), listener()
    with hub.joined(slow), hub.joined(quick):
        frames = quick.frames()
        async with asyncio.timeout(PATIENCE_S):
            while slow.end is None:
                slow.give([Frame(b"x")])
                quick.give([Frame(b"x")])
                assert (await anext(frames)).content
        assert (slow.end, quick.end) == ("slow", None)
        assert [frame async for frame in slow.frames()] == []  # and what waited for it is forgotten


def test_streams_end_when_the_server_stops(tmp_path: Path) -> None:
    with serving(tmp_path) as live:
        job = live.create()
        with live.stream("/api/live") as of_project, live.stream(f"/api/jobs/{job.id}/live") as of_job:
            live.wait_for_listeners(2)
            stopping = threading.Thread(target=live.server.stop)
            stopping.start()
            for stream in (of_project, of_job):
                (*_, end) = until(stream, lambda one: one.type == "end")
                assert end.data == {"reason": "stopping"}
            stopping.join()


def test_a_stream_ends_with_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuneward.accounts.lookup.FRESH_S", 0.05)
    now = [time.time()]
    database = open_database(ServerConfig(home=tmp_path))
    keys = KeyAuthenticator(database, tmp_path, clock=lambda: now[0])
    with serving(tmp_path, keys) as live:
        kept, revoked, expiring = (
            create_key(database, DEFAULT_PROJECT, name, "viewer", expires_at=expires_at)
            for name, expires_at in (("kept", None), ("revoked", None), ("expiring", now[0] + 3600))
        )
        with (
            live.stream("/api/live", key=kept.secret) as of_kept,
            live.stream("/api/live", key=revoked.secret) as of_revoked,
            live.stream("/api/live", key=expiring.secret) as of_expiring,
        ):
            live.wait_for_listeners(3)
            revoke_key(database, revoked.info.id, DEFAULT_PROJECT)
            now[0] += 1
            (*_, end) = until(of_revoked, lambda one: one.type == "end")
            assert end.data == {"reason": "key"}
            now[0] += 3600
            (*_, end) = until(of_expiring, lambda one: one.type == "end")
            assert end.data == {"reason": "key"}
            live.create()
            until(of_kept, lambda one: one.type == "job")
    database.close()


@pytest.mark.parametrize("last", ["x", "-1", "9" * 30, "١"])
def test_an_id_that_is_none_is_refused(live: Live, last: str) -> None:
    job = live.create()
    headers = {"Last-Event-ID": last.encode()}
    answer = httpx.get(f"{live.url}/api/jobs/{job.id}/live", headers=headers, timeout=PATIENCE_S)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "last-event-id")
