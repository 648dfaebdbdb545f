"""Workers that take jobs at the same time each get their own."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.some_jobs import MINE, NEW

from tuneward.jobs.queue import JobQueue
from tuneward.jobs.service import JobService
from tuneward.store.database import Database

WORKERS, JOBS = 8, 50


def test_every_job_is_claimed_once(database: Database, jobs: JobService) -> None:
    made = {jobs.create(MINE, NEW).id for _ in range(JOBS)}
    ready = threading.Barrier(WORKERS)

    def take(number: int) -> list[str]:
        queue = JobQueue(Database(database.url, patience_s=60), f"worker-{number}", lease_s=600)
        ready.wait()
        taken = []
        while (claim := queue.claim("validation")) is not None:
            taken.append(claim.lease.job_id)
        return taken

    with ThreadPoolExecutor(WORKERS) as pool:
        taken = [job for done in [pool.submit(take, number) for number in range(WORKERS)] for job in done.result()]
    assert Counter(taken) == Counter(made)
