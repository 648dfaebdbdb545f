"""Grader of a function: one that is registered here, or one on AWS Lambda, as its name says."""

from __future__ import annotations

from tuneward.config import GraderConfig
from tuneward.rewards.event_grader import Caller, EventGrader
from tuneward.rewards.functions.local import LocalFunction
from tuneward.rewards.functions.reference import parse_reference
from tuneward.rewards.functions.registry import FunctionRegistry
from tuneward.types import Grader


def build_function_grader(config: GraderConfig, functions: FunctionRegistry | None = None) -> Grader:
    """Grader for `reward.function`. Bare names and accounts 00000000… are local, any other ARN is AWS Lambda's.

    A local function keeps its own limits unless `timeout_s` or `memory_mb` are given and lower; `workers` that are not
    given are the processors of the machine.

    Raises:
        GraderError: no such function, it does not load, or may not be called.
    """
    assert config.function is not None
    reference = parse_reference(config.function)
    given = config.model_fields_set
    if reference.is_local:
        caller: Caller = LocalFunction(
            functions or FunctionRegistry(),
            config.function,
            workers=config.workers if "workers" in given else None,
            timeout_s=config.timeout_s if "timeout_s" in given else None,
            memory_mb=config.memory_mb if "memory_mb" in given else None,
            isolation=config.isolation,
        )
        return EventGrader(
            caller,
            batch_size=config.batch_size,
            retries=config.retries,
            reference_answer=config.reference_answer,
        )
    from tuneward.rewards.aws_lambda import LAMBDA_CONCURRENCY, LambdaCaller
    from tuneward.rewards.remote import BACKOFF_S, PAYLOAD_LIMIT_BYTES

    return EventGrader(
        LambdaCaller(
            reference,
            timeout_s=config.timeout_s,
            concurrency=config.workers if "workers" in given else LAMBDA_CONCURRENCY,
        ),
        batch_size=config.batch_size,
        retries=config.retries,
        backoff_s=BACKOFF_S,
        reference_answer=config.reference_answer,
        event_limit_bytes=PAYLOAD_LIMIT_BYTES,
    )
