"""`method.reinforcement.grader` → the reward of a run's configuration.

Sources: OpenAI RFT contract, section 5; Bedrock RFT contract, 7.3 (`lambda`). `tuneward` is our own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuneward.jobs.problems import InvalidRequestError
from tuneward.rewards.openai import InvalidGraderError, validate_grader
from tuneward.serve.job_parts.functions import check_function
from tuneward.serve.openai.job_reward import own_reward
from tuneward.serve.services import Services
from tuneward.types import Json

PLACE = "method.reinforcement.grader"

FUNCTION = f"{PLACE}.lambda.function"

ERROR_BUDGET = 0.5
"""Share of failed gradings that ends a job. Source: OpenAI RFT contract, 6.1."""


def reward_of(grader: Mapping[str, Json], services: Services, project_id: str) -> dict[str, Any]:
    """The section `reward`.

    Raises:
        InvalidRequestError: the grader cannot be used; `param` is the dotted path of what is wrong.
    """
    if grader.get("type") == "lambda":
        function = _function_of(grader, services, project_id)
        # Functions written for this door of Bedrock read a reference answer as `{"text": …}`.
        return {"function": function, "reference_answer": "text", "error_budget": ERROR_BUDGET}
    if grader.get("type") == "tuneward":
        _no_others(grader, ("type", "name", "reward"))
        own = own_reward(
            grader.get("reward"),
            f"{PLACE}.reward",
            lambda name, param: check_function(name, param, services, project_id),
        )
        return {"error_budget": ERROR_BUDGET, **own}
    try:
        checked = validate_grader({"grader": grader})["grader"]
    except InvalidGraderError as error:
        place = PLACE if error.param == "grader" else f"{PLACE}.{error.param}"
        message = str(error).replace(f"'{error.param}'", f"'{place}'")
        raise InvalidRequestError(message, param=place, code=error.code) from None
    # Where its models are found is the worker's to say: a server may have another address by the time a job runs.
    return {"openai": checked, "error_budget": ERROR_BUDGET}


def _function_of(grader: Mapping[str, Json], services: Services, project_id: str) -> str:
    _no_others(grader, ("type", "name", "lambda"))
    inner = grader.get("lambda")
    function = inner.get("function") if isinstance(inner, dict) else None
    if function is None:
        code = "missing_required_parameter"
        raise InvalidRequestError(f"Missing required parameter: '{FUNCTION}'.", param=FUNCTION, code=code)
    if not isinstance(function, str):
        message = f"Invalid type for '{FUNCTION}': expected a string."
        raise InvalidRequestError(message, param=FUNCTION, code="invalid_type")
    check_function(function, FUNCTION, services, project_id)
    return function


def _no_others(grader: Mapping[str, Json], known: tuple[str, ...]) -> None:
    for key in grader:
        if key not in known:
            place = f"{PLACE}.{key}"
            raise InvalidRequestError(f"Unknown parameter: '{place}'.", param=place, code="unknown_parameter")
