"""Delivers invocation logs in the background: collected for a few seconds, then written as one object.

Source: Bedrock RFT contract, 3.7 (delivery) and 8.5.
"""

from __future__ import annotations

import gzip
import json
import logging
import secrets
import threading
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fastapi import Request
from sqlalchemy import select

from tuneward.accounts.principal import Principal
from tuneward.data.objects import ObjectStore
from tuneward.errors import TunewardError
from tuneward.serve.bedrock.invocation_log import Invocation
from tuneward.store.database import Database
from tuneward.store.tables import InvocationLogging
from tuneward.types import Json

INTERVAL_S = 2.0
"""How long calls are collected."""
LONGEST_WAIT_S = 60.0
"""Between two tries to deliver to a place that does not take it."""
LARGEST_BACKLOG = 32 * 2**20
"""Bytes of calls that wait for delivery, for each project; what comes on top is lost, and the server's log says so."""
LARGEST_BODY = 100_000
"""Bytes of a body that stands in its record; a larger one becomes an object of its own."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Backlog:
    calls: deque[Invocation] = field(default_factory=deque)
    bytes: int = 0
    lost: int = 0
    failures: int = 0
    """Tries in a row that failed."""
    next_try: float = 0.0
    """By the monotonic clock."""


class InvocationLogger:
    """Logs calls of the projects that have asked for it; threads may share it.

    Args:
        database: says which projects have, and where to.
        objects: takes the logs.
        region: stands in records and paths.
    """

    def __init__(self, database: Database, objects: ObjectStore, *, region: str):
        self._database, self._objects, self._region = database, objects, region
        self._backlogs: defaultdict[str, _Backlog] = defaultdict(_Backlog)
        self._changed = threading.Condition()
        self._is_closing = False
        self._thread: threading.Thread | None = None

    async def call(
        self,
        request: Request,
        principal: Principal,
        operation: str,
        model_id: str,
        body: Json,
        metadata: Mapping[str, str] | None = None,
    ) -> Invocation:
        """A call that begins now; enter it, and say in it what the answer was."""
        return Invocation(
            principal=principal,
            request_id=request.scope["state"]["request_id"],
            operation=operation,
            model_id=model_id,
            input=body,
            input_bytes=len(await request.body()),
            metadata=metadata,
            deliver=self._add,
        )

    def close(self) -> None:
        """Deliver what waits, once, and end. Safe to call twice."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _add(self, call: Invocation) -> None:
        with self._changed:
            backlog = self._backlogs[call.principal.project_id]
            if self._is_closing or backlog.bytes + call.bytes > LARGEST_BACKLOG:
                backlog.lost += 1
                return
            backlog.calls.append(call)
            backlog.bytes += call.bytes
            if self._thread is None:
                self._thread = threading.Thread(target=self._deliver_all, name="invocation-log", daemon=True)
                self._thread.start()

    def _deliver_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closing, INTERVAL_S)
                is_last = self._is_closing
                now = time.monotonic()
                due = [name for name, one in self._backlogs.items() if one.calls and (is_last or one.next_try <= now)]
            for project_id in due:
                self._deliver(project_id)
            self._report_lost(is_last=is_last)
            if is_last:
                return

    def _deliver(self, project_id: str) -> None:
        with self._changed:
            backlog = self._backlogs[project_id]
            calls = list(backlog.calls)
        try:
            config = self._config(project_id)
            if config.get("s3Config"):
                self._write(config, calls)
            backlog.failures, backlog.next_try = 0, 0.0
        except (TunewardError, OSError) as error:
            backlog.failures += 1
            wait_s = min(LONGEST_WAIT_S, INTERVAL_S * 2**backlog.failures)
            backlog.next_try = time.monotonic() + wait_s
            _log.warning("%s: %d calls could not be logged; trying again (%s)", project_id, len(calls), error)
            return
        except Exception:  # one project's calls must not end the logging of all
            _log.exception("%s: %d calls could not be logged and are lost", project_id, len(calls))
        with self._changed:
            for call in calls:
                backlog.calls.popleft()
                backlog.bytes -= call.bytes

    def _report_lost(self, *, is_last: bool) -> None:
        with self._changed:
            for project_id, backlog in self._backlogs.items():
                lost = backlog.lost + (len(backlog.calls) if is_last else 0)
                if lost:
                    _log.error("%s: %d calls were not logged, because their place does not take them", project_id, lost)
                backlog.lost = 0

    def _config(self, project_id: str) -> Json:
        row = self._database.read(
            lambda session: session.scalar(select(InvocationLogging).filter_by(project_id=project_id))
        )
        return {} if row is None else row.config

    def _write(self, config: Json, calls: list[Invocation]) -> None:
        root = f"s3://{config['s3Config']['bucketName']}"
        prefix = str(config["s3Config"].get("keyPrefix") or "").strip("/")
        with_bodies = config.get("textDataDeliveryEnabled") is not False
        hours: defaultdict[str, list[Invocation]] = defaultdict(list)
        for call in calls:
            account = call.principal.account_id
            parts = (prefix, "AWSLogs", account, "BedrockModelInvocationLogs", self._region, call.hour)
            hours["/".join(part for part in parts if part)].append(call)
        for folder, of_hour in hours.items():
            data = f"{root}/{folder}/data"
            lines = [self._line(call, data, with_bodies=with_bodies) for call in of_hour]
            name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}_{secrets.token_hex(8)}.json.gz"
            self._put("".join(lines).encode(), f"{root}/{folder}/{name}")

    def _line(self, call: Invocation, data: str, *, with_bodies: bool) -> str:
        record = call.record(self._region)
        for side in ("input", "output"):
            if side not in record:
                continue
            body = record[side].pop(f"{side}BodyJson")
            if not with_bodies:
                continue
            text = json.dumps(body)
            if len(text) > LARGEST_BODY:
                uri = f"{data}/{call.request_id}_{side}.json.gz"
                self._put(text.encode(), uri)
                record[side][f"{side}BodyS3Path"] = uri
            else:
                record[side][f"{side}BodyJson"] = body
        return json.dumps(record) + "\n"

    def _put(self, content: bytes, uri: str) -> None:
        self._objects.upload(gzip.compress(content), uri)
