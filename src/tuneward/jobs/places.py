"""Where a server keeps what belongs to projects.

HOME/projects/PROJECT/files/FILE               uploaded and produced files
HOME/projects/PROJECT/jobs/JOB/run/            the run folder of a job
HOME/projects/PROJECT/jobs/JOB/inputs/         its rows, fetched and converted
HOME/projects/PROJECT/jobs/JOB/adapters/step-N adapters of checkpoints that can be served
HOME/projects/PROJECT/functions/               reward functions
"""

from __future__ import annotations

from pathlib import Path


def project_home(home: Path, project_id: str) -> Path:
    """A project's folder in the home of a server; it need not exist yet."""
    return home / "projects" / project_id


def job_home(home: Path, project_id: str, job_id: str) -> Path:
    """A job's folder; it need not exist yet."""
    return project_home(home, project_id) / "jobs" / job_id
