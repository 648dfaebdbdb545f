"""Who works on a job: leases, and the fence that keeps everybody else from writing."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tuneward.errors import TunewardError
from tuneward.jobs.states import TERMINAL
from tuneward.store.tables import Job


class LeaseLostError(TunewardError):
    """The job is somebody else's by now, or it has ended; whoever gets this must stop without writing anything."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a job, until it is given back or somebody else has taken the job."""

    job_id: str
    owner: str
    """The worker."""
    token: int
    """Number of this taking; every later one is higher."""


def held(session: Session, lease: Lease) -> Job:
    """The job of a lease, locked until the transaction ends. Every write of a job's process goes through here.

    Raises:
        LeaseLostError: the lease is not the job's newest, was given back, or the job has ended.
    """
    job = session.scalars(select(Job).where(Job.id == lease.job_id).with_for_update()).one_or_none()
    if job is None or (job.lease_owner, job.lease_token) != (lease.owner, lease.token):
        raise LeaseLostError(f"Job {lease.job_id} was taken by another worker; this one stops working on it.")
    if job.state in TERMINAL:
        raise LeaseLostError(f"Job {lease.job_id} is {job.state}; its worker stops working on it.")
    return job


def clock(session: Session) -> float:
    """Seconds since 1970 by one clock for everybody: a database server's own, or this machine's for a file."""
    if session.get_bind().dialect.name == "postgresql":
        return float(session.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0.0)
    return time.time()
