"""What a worker tells the process of a job, on one line of its standard input."""

from __future__ import annotations

from tuneward.config import ServerConfig
from tuneward.config.section import Section
from tuneward.jobs.lease import Lease
from tuneward.jobs.states import State

EXIT_LATER = 75
"""The process ended before its work was done, and the job is as it was: another one may take it."""
EXIT_LOST = 76
"""The job is another worker's by now, or was cancelled."""


class Order(Section):
    """A job to work on."""

    server: ServerConfig
    job_id: str
    project_id: str
    owner: str
    token: int
    state: State
    """As it was taken."""
    check_s: float
    """How often the process asks whether the job is still its own."""

    @property
    def lease(self) -> Lease:
        return Lease(self.job_id, self.owner, self.token)
