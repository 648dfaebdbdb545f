"""The model that a job starts from, as its caller names it."""

from __future__ import annotations

from tuneward.jobs.problems import ObjectNotFoundError
from tuneward.serve.services import Services


def starting_model(name: str, services: Services, project_id: str) -> tuple[str, str | None]:
    """Id of the base model, and the adapter folder to start from, relative to the home of the server.

    Raises:
        ObjectNotFoundError: neither a base model nor a tuned model that the project may use.
    """
    try:
        return services.directory.find(name).id, None
    except ObjectNotFoundError as unknown:
        try:
            tuned = services.models.find(project_id, name)
        except ObjectNotFoundError:
            raise unknown from None  # it says which models there are
    return tuned.base_model, str(tuned.adapter.relative_to(services.home))
