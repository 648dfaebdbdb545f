"""Reward functions registered on this machine, with the semantics of AWS Lambda."""

from __future__ import annotations

from tuneward.rewards.functions.configuration import FunctionConfiguration
from tuneward.rewards.functions.local import Invocation, LocalFunction
from tuneward.rewards.functions.log import FunctionLog
from tuneward.rewards.functions.problems import FunctionConflictError, FunctionNotFoundError, InvalidFunctionError
from tuneward.rewards.functions.reference import FunctionReference, parse_reference
from tuneward.rewards.functions.registry import FunctionRegistry
from tuneward.rewards.functions.store import Alias

__all__ = [
    "Alias",
    "FunctionConfiguration",
    "FunctionConflictError",
    "FunctionLog",
    "FunctionNotFoundError",
    "FunctionReference",
    "FunctionRegistry",
    "InvalidFunctionError",
    "Invocation",
    "LocalFunction",
    "parse_reference",
]
