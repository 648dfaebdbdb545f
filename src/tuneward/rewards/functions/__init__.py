"""Reward functions registered on this machine, with the semantics of AWS Lambda."""

from __future__ import annotations

from tuneward.rewards.functions.configuration import FunctionConfiguration
from tuneward.rewards.functions.local import Invocation, LocalFunction
from tuneward.rewards.functions.log import FunctionLog
from tuneward.rewards.functions.problems import (
    FunctionBusyError,
    FunctionConflictError,
    FunctionNotFoundError,
    FunctionRevisionError,
    InvalidFunctionError,
)
from tuneward.rewards.functions.reference import FunctionReference, parse_reference
from tuneward.rewards.functions.registry import FunctionRegistry
from tuneward.rewards.functions.store import Alias, Attributes
from tuneward.rewards.functions.warm import WarmFunction, WarmFunctions

__all__ = [
    "Alias",
    "Attributes",
    "FunctionBusyError",
    "FunctionConfiguration",
    "FunctionConflictError",
    "FunctionLog",
    "FunctionNotFoundError",
    "FunctionReference",
    "FunctionRegistry",
    "FunctionRevisionError",
    "InvalidFunctionError",
    "Invocation",
    "LocalFunction",
    "WarmFunction",
    "WarmFunctions",
    "parse_reference",
]
