"""Server, worker or a job's process is killed at a point: all that was answered for is true afterwards.

Each row of the table is one kill. `tests.faults.service` has the processes, `tests.faults.kill_stories` the clients.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.faults.kill_stories import (
    Promises,
    Story,
    calling_with_logs,
    cancelling,
    creating_a_job,
    creating_a_job_and_dying,
    deploying,
    pausing,
    stopping,
    streaming,
    training,
    training_with_results,
    uploading,
    uploading_in_parts,
)
from tests.faults.service import Service, Trap, wait_for

JOBS, PROCESS = "tuneward.jobs", "tuneward.jobs.process"
REACHED = "tuneward.points:reached"

POINTS: dict[str, tuple[Story, Trap | None]] = {
    # The server
    "while an upload comes in": (uploading, Trap("server", f"{JOBS}.incoming:Incoming.write", count=3)),
    "upload renamed, no row yet": (uploading, Trap("server", f"{JOBS}.incoming:Incoming.keep", count=2)),
    "upload stored, not answered": (uploading, Trap("server", f"{JOBS}.files:FileService.keep", count=2)),
    "parts put together, not answered": (
        uploading_in_parts,
        Trap("server", f"{JOBS}.uploads:UploadService._put_together"),
    ),
    "job stored, not answered": (creating_a_job, Trap("server", f"{JOBS}.service:JobService.create")),
    "job answered for": (creating_a_job_and_dying, None),
    "deployment before its row is committed": (deploying, Trap("server", "tuneward.jobs.deployments:adapter_fault")),
    "deployment changed, not answered": (
        deploying,
        Trap("server", f"{JOBS}.deployments:DeploymentService.update"),
    ),
    "logs of calls half written": (
        calling_with_logs,
        Trap("server", "tuneward.data.folder_buckets:os.fsync", "before", count=2),  # after the probe's
    ),
    "answer half streamed": (streaming, None),
    "pause stored, not answered": (pausing, Trap("server", f"{JOBS}.service:JobService.act")),
    "cancel stored, not answered": (cancelling, Trap("server", f"{JOBS}.service:JobService.act")),
    "server in the middle of training": (
        training,
        Trap("job", REACHED, argument="step.updated", count=2, victim="server"),
    ),
    # The worker
    "job claimed, not committed": (training, Trap("worker", f"{JOBS}.queue:JobQueue._claim")),
    "job claimed, no process yet": (training, Trap("worker", f"{JOBS}.worker:JobProcess", "before")),
    "worker in the middle of training": (
        training,
        Trap("job", REACHED, argument="step.recorded", count=3, victim="worker"),
    ),
    "results half copied": (
        training_with_results,
        Trap("job", "tuneward.data.objects:ObjectStore.upload", count=2, victim="worker"),
    ),
    "worker while a job stops": (stopping, Trap("job", f"{PROCESS}.ending:_store_results", "before", victim="worker")),
    # The job's process
    "job being validated": (training, Trap("job", f"{PROCESS}.validation:_check_rows", "before")),
    "job validated, not handed over": (training, Trap("job", f"{PROCESS}.validation:give_back")),
    "checkpoint written, not renamed": (training, Trap("job", REACHED, argument="save.manifest", count=2)),
    "checkpoint copied, no row yet": (training, Trap("job", f"{PROCESS}.publishing:export_adapter")),
    "model's row not committed": (training, Trap("job", f"{PROCESS}.publishing:Publisher._make_model")),
    "job paused, not committed": (pausing, Trap("job", f"{PROCESS}.ending:_leave")),
}

QUICK = ("upload renamed, no row yet",)


@pytest.mark.parametrize("point", [pytest.param(p, marks=() if p in QUICK else pytest.mark.slow) for p in POINTS])
def test_what_was_answered_for_outlives_a_kill(point: str, tmp_path: Path, tiny_chat_model: Path) -> None:
    story, trap = POINTS[point]
    service = Service(tmp_path, tiny_chat_model)
    try:
        service.start(trap)
        made = Promises(service)
        story(made)
        if trap is not None:
            wait_for(service.marker.exists, f"the kill: {point}")
        if service.starts == 1 and (trap is None or trap.kills_server):
            service.ended()
            service.start()
        made.keep()
    finally:
        service.close()
