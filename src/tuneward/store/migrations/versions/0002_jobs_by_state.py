"""An index of jobs by their state."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_jobs_project_id_state_created_at_id"), ["project_id", "state", "created_at", "id"]
        )
