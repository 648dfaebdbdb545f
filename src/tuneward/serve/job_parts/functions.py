"""The reward functions that a job names."""

from __future__ import annotations

from tuneward.errors import GraderError
from tuneward.jobs.problems import InvalidRequestError
from tuneward.rewards.functions.reference import parse_reference
from tuneward.serve.services import Services


def check_function(function: str, param: str, services: Services, project_id: str) -> None:
    """Raises InvalidRequestError when the caller's project has no such function; one on AWS is left to the job."""
    try:
        if parse_reference(function).is_local:
            services.functions(project_id).get(function)
    except GraderError as error:
        raise InvalidRequestError(str(error), param=param, code="invalid_value") from None
