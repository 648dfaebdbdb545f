"""A worker: takes jobs from the queue, gives each a process, and sees that users' wishes and failures reach them."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tuneward.config import ServerConfig
from tuneward.errors import StoreError
from tuneward.jobs.child import COMMAND, JobProcess
from tuneward.jobs.order import EXIT_LATER, EXIT_LOST, Order
from tuneward.jobs.queue import Claim, JobQueue, Lane, is_over
from tuneward.jobs.slots import slot_environment
from tuneward.jobs.states import State
from tuneward.store.database import Database
from tuneward.store.ids import new_id

log = logging.getLogger(__name__)

VALIDATIONS = 1
"""Jobs of a worker that are validated at the same time."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds between what a worker does."""

    look_s: float = 0.2
    """Between looks at the processes."""
    heartbeat_s: float = 2.0
    """Between renewals of leases, and between questions for work."""
    lease_s: float = 15.0
    """How long a job stays the worker's while the worker cannot say anything."""
    kill_s: float = 5.0
    """Between asking the process of a cancelled job to end and ending it."""
    backoff_s: float = 1.0
    """Wait after a process that died; twice as long after every further one, at most a minute."""


@dataclass(slots=True)
class _Task:
    claim: Claim
    lane: Lane
    process: JobProcess
    was_asked: bool = False
    is_over: bool = False
    """Nobody may work on the job any more, or its process is done with it."""
    kill_at: float | None = None
    status: int | None = None
    """Exit status, once it has ended and the lease is still to be given back."""


@dataclass
class Worker:
    """Works until it is told to stop.

    Args:
        config: of the server that the jobs were sent to.
        database: its store.
        slots: what jobs may train on here, see `machine_slots`.
        timing: for tests.
        command: starts a job's process.
    """

    config: ServerConfig
    database: Database
    slots: Sequence[str]
    timing: Timing = field(default_factory=Timing)
    command: tuple[str, ...] = COMMAND

    def __post_init__(self) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{new_id(length=6)}"
        self._queue = JobQueue(self.database, self.name, lease_s=self.timing.lease_s)
        self._tasks: dict[str, _Task] = {}
        self._wake = threading.Event()
        self._stops = 0
        self._failing_since: float | None = None
        self._reachable_since = float("-inf")

    def stop(self) -> None:
        """Let every job save and go back to the queue, then end; asked twice, end at once. Any thread may call."""
        self._stops += 1
        self._wake.set()

    @property
    def has_work(self) -> bool:
        """Whether a job's process runs here."""
        return bool(self._tasks)

    def run(self, *, once: bool = False) -> None:
        """Work. With `once`, until there is nothing to do at the moment."""
        log.info("worker %s starts with %s", self.name, ", ".join(self.slots) or "no slots")
        next_beat = 0.0
        while True:
            ended = self._look()
            if ended or time.monotonic() >= next_beat or self._stops:
                next_beat = time.monotonic() + self.timing.heartbeat_s
                self._renew()
                found_none = True if self._stops else self._take()
                if not self._tasks and (self._stops or (once and found_none and self._failing_since is None)):
                    break
            if self._stops:
                self._send_home()
            self._wake.wait(self.timing.look_s)
            self._wake.clear()
        log.info("worker %s ends", self.name)

    def _look(self) -> bool:
        """See which processes have ended; True when one has been settled."""
        settled = False
        for job_id, task in list(self._tasks.items()):
            if task.status is None:
                task.status = task.process.poll()
                if task.status is not None:
                    _tell_end(task)
                elif task.kill_at is not None and time.monotonic() >= task.kill_at:
                    log.warning("job %s is not this worker's any more; its process is ended", job_id)
                    task.process.kill()
                    task.kill_at = None
            if task.status is not None and self._settle(task):
                del self._tasks[job_id]
                settled = True
        return settled

    def _settle(self, task: _Task) -> bool:
        """Give the job back, unless its process did so itself; False when the database cannot be reached."""
        was_asked = task.was_asked and task.status in (EXIT_LATER, -signal.SIGTERM)  # the latter while still starting
        wait_s = 0.0 if was_asked else min(60.0, self.timing.backoff_s * 2 ** (task.claim.attempt - 1))
        try:
            self._queue.release(task.claim.lease, wait_s=wait_s, was_asked=was_asked)
        except StoreError as error:
            self._note_failure(error)
            return False
        return True

    def _renew(self) -> None:
        leases = [task.claim.lease for task in self._tasks.values()]
        if not leases:
            return
        try:
            states = self._queue.renew(leases)
        except StoreError as error:
            self._note_failure(error)
            return
        self._note_success()
        for job_id, state in states.items():
            self._follow(self._tasks[job_id], state)

    def _follow(self, task: _Task, state: State | None) -> None:
        """Do what a job's new state wants."""
        if task.status is not None:
            return
        if is_over(state):
            # None after the process itself has given the job back, too; then it is about to end.
            if state is not None:
                self._ask(task, f"it is {state}")
            if not task.is_over:
                task.is_over, task.kill_at = True, time.monotonic() + self.timing.kill_s
        elif state in ("pausing", "stopping") and state != task.claim.state:  # else its order says so
            self._ask(task, f"it is {state}")

    def _ask(self, task: _Task, reason: str) -> None:
        """Once: a second signal would end the process without saving."""
        if not task.was_asked:
            log.info("job %s is asked to save and end: %s", task.claim.lease.job_id, reason)
            task.was_asked = True
            task.process.ask()

    def _send_home(self) -> None:
        for task in self._tasks.values():
            if self._stops > 1:
                task.process.kill()
            elif not task.is_over:
                self._ask(task, "the worker is stopping")

    def _take(self) -> bool:
        """Take jobs as long as there is room for them; True when there are none left to take."""
        # After an outage every lease has run out, those of living workers too; they get the time to renew them.
        take_over = time.monotonic() - self._reachable_since >= self.timing.lease_s
        found_none = True
        for lane in ("validation", "training"):
            while self._has_room(lane):
                try:
                    claim = self._queue.claim(lane, self.slots, take_over=take_over)
                except StoreError as error:
                    self._note_failure(error)
                    return False
                self._note_success()
                if claim is None:
                    break
                self._start(claim, lane)
                found_none = False
        return found_none and take_over

    def _has_room(self, lane: Lane) -> bool:
        taken = sum(task.lane == lane for task in self._tasks.values())
        return taken < (VALIDATIONS if lane == "validation" else len(self.slots))

    def _start(self, claim: Claim, lane: Lane) -> None:
        lease = claim.lease
        order = Order(
            server=self.config,
            job_id=lease.job_id,
            project_id=claim.project_id,
            owner=lease.owner,
            token=lease.token,
            state=claim.state,
            check_s=self.timing.heartbeat_s,
        )
        process = JobProcess(order, slot_environment(claim.slot), self.command)
        self._tasks[lease.job_id] = _Task(claim, lane, process)
        where = claim.slot or lane
        log.info(
            "job %s (%s, attempt %d) in process %d on %s", lease.job_id, claim.state, claim.attempt, process.pid, where
        )

    def _note_failure(self, error: StoreError) -> None:
        if self._failing_since is None:
            log.warning("%s Jobs under way go on meanwhile.", error)
            self._failing_since = time.monotonic()

    def _note_success(self) -> None:
        if self._failing_since is not None:
            log.info("the database can be used again after %.0f s", time.monotonic() - self._failing_since)
            self._failing_since, self._reachable_since = None, time.monotonic()


def _tell_end(task: _Task) -> None:
    job_id, status = task.claim.lease.job_id, task.status
    if status in (0, EXIT_LATER, EXIT_LOST):
        log.info("job %s: its process ended", job_id)
    else:
        log.warning("job %s: its process died (%s)", job_id, f"signal {-status}" if status < 0 else f"status {status}")  # type: ignore[operator]
