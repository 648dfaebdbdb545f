"""Two callers of two projects, and a job that nothing is special about."""

from __future__ import annotations

from tuneward.accounts.principal import Principal
from tuneward.jobs.service import NewJob
from tuneward.jobs.spec import FileSource, JobSpec

MINE = Principal("key_1", "proj_mine", "000000000001", "developer")
OTHER = Principal("key_2", "proj_other", "000000000002", "developer")
SPEC = JobSpec(method="reinforcement", base_model="tiny", training=FileSource(file_id="file-1"))
NEW = NewJob("openai", "tiny", SPEC, {"model": "tiny"})
