"""Answers of AWS Lambda's API. Source: AWS Lambda API reference, version 2015-03-31."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any

from tuneward.rewards.functions import Alias, FunctionConfiguration
from tuneward.rewards.functions.reference import LATEST, function_arn
from tuneward.rewards.sandbox.probe import isolation_problem
from tuneward.types import Json


def configuration_shape(configuration: FunctionConfiguration, qualifier: str | None = None) -> dict[str, Json]:
    """`FunctionConfiguration`.

    Args:
        qualifier: ends the ARN; None: the version's number does, `$LATEST` has none.
    """
    one = configuration
    qualifier = qualifier or (one.version if one.version != LATEST else None)
    # A function without a place to run in is there, but not active.
    problem = isolation_problem(one.name)
    shape: dict[str, Json] = {
        "FunctionName": one.name,
        "FunctionArn": function_arn(one.name, one.region, one.account, qualifier),
        "Runtime": one.runtime,
        "Role": one.role or f"arn:aws:iam::{one.account}:role/tuneward",
        "Handler": one.handler,
        "CodeSize": one.code_bytes,
        "CodeSha256": one.code_sha256,
        "Description": one.description,
        "Timeout": one.timeout_s,
        "MemorySize": one.memory_mb,
        "LastModified": one.last_modified,
        "Version": one.version,
        "TracingConfig": {"Mode": "PassThrough"},
        "RevisionId": one.revision_id,
        "State": "Failed" if problem else "Active",
        "LastUpdateStatus": "Successful",
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{one.name}"},
    }
    if one.environment:
        shape["Environment"] = {"Variables": dict(one.environment)}
    if problem:
        shape |= {"StateReason": problem, "StateReasonCode": "InvalidRuntime"}
    return shape


def alias_shape(configuration: FunctionConfiguration, alias: Alias) -> dict[str, Json]:
    """`AliasConfiguration`; `configuration` is any version of the function."""
    return {
        "AliasArn": function_arn(configuration.name, configuration.region, configuration.account, alias.name),
        "Name": alias.name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RevisionId": revision_of([alias.name, alias.version, alias.description]),
    }


def revision_of(value: Any) -> str:
    """A UUID that changes with the value."""
    digest = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))
