"""AddPermission, GetPolicy, RemovePermission: kept and read back; who may call is what a key's role says."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from tuneward.rewards.functions import (
    Attributes,
    FunctionConflictError,
    FunctionReference,
    FunctionRegistry,
    FunctionRevisionError,
)
from tuneward.rewards.functions.reference import function_arn
from tuneward.serve.aws_errors import AwsError
from tuneward.serve.deps import Developer, Use, Viewer
from tuneward.serve.functions.bodies import AddPermission
from tuneward.serve.functions.configuration import FUNCTION
from tuneward.serve.functions.shapes import revision_of
from tuneward.serve.functions.words import FunctionsRoute, Name, Qualifier, find, not_found
from tuneward.types import Json

routes = APIRouter(route_class=FunctionsRoute)

POLICY_LIMIT_BYTES = 20_480

Statement = dict[str, Any]
Revision = Annotated[str | None, Query(alias="RevisionId", max_length=64)]


@routes.post(FUNCTION + "/policy", status_code=201)
def add_permission(
    name: Name, body: AddPermission, services: Use, caller: Developer, qualifier: Qualifier = None
) -> dict[str, Json]:
    """AddPermission."""
    registry = services.functions(caller.project_id, caller.account_id)
    found = find(registry, name, qualifier)
    latest = registry.get(str(found))
    statement = _statement(body, function_arn(latest.name, latest.region, latest.account, found.qualifier))

    def change(attributes: Attributes) -> None:
        statements = attributes.policies.setdefault(found.qualifier or "", [])
        _check_revision(statements, body.revision_id)
        if any(other["Sid"] == body.statement_id for other in statements):
            raise FunctionConflictError(
                f"The statement id ({body.statement_id}) provided already exists. Please provide a new statement id, "
                "or remove the existing statement."
            )
        statements.append(statement)
        if len(json.dumps(_policy(statements))) > POLICY_LIMIT_BYTES:
            raise AwsError(
                "PolicyLengthExceededException", 400, f"The policy would take more than {POLICY_LIMIT_BYTES} bytes."
            )

    registry.change_attributes(found.name, change)
    return {"Statement": json.dumps(statement)}


@routes.get(FUNCTION + "/policy")
def get_policy(name: Name, services: Use, caller: Viewer, qualifier: Qualifier = None) -> dict[str, Json]:
    """GetPolicy."""
    registry = services.functions(caller.project_id, caller.account_id)
    statements = _statements(registry, find(registry, name, qualifier))
    return {"Policy": json.dumps(_policy(statements)), "RevisionId": revision_of(statements)}


@routes.delete(FUNCTION + "/policy/{statement_id:label}", status_code=204)
def remove_permission(
    name: Name,
    statement_id: Annotated[str, Path(max_length=100)],
    services: Use,
    caller: Developer,
    qualifier: Qualifier = None,
    revision: Revision = None,
) -> Response:
    """RemovePermission."""
    registry = services.functions(caller.project_id, caller.account_id)
    found = find(registry, name, qualifier)
    _statements(registry, found)

    def change(attributes: Attributes) -> None:
        statements = attributes.policies.get(found.qualifier or "", [])
        _check_revision(statements, revision)
        left = [statement for statement in statements if statement["Sid"] != statement_id]
        if len(left) == len(statements):
            raise not_found(f"Statement {statement_id} is not found in the policy of {found}.")
        attributes.policies[found.qualifier or ""] = left

    registry.change_attributes(found.name, change)
    return Response(status_code=204)


def _statements(registry: FunctionRegistry, function: FunctionReference) -> list[Statement]:
    registry.get(str(function))
    statements = registry.attributes(function.name).policies.get(function.qualifier or "")
    if not statements:
        raise not_found(f"{function} has no policy.")
    return statements


def _statement(body: AddPermission, arn: str) -> Statement:
    principal: Json = {"AWS": body.principal}
    if body.principal == "*":
        principal = "*"
    elif re.fullmatch(r"[a-z0-9.-]+\.amazonaws\.com", body.principal):
        principal = {"Service": body.principal}
    elif re.fullmatch(r"\d{12}", body.principal):
        principal = {"AWS": f"arn:aws:iam::{body.principal}:root"}
    statement: Statement = {
        "Sid": body.statement_id,
        "Effect": "Allow",
        "Principal": principal,
        "Action": body.action,
        "Resource": arn,
    }
    condition: dict[str, Json] = {}
    if body.source_arn:
        condition["ArnLike"] = {"AWS:SourceArn": body.source_arn}
    equals: dict[str, Json] = {}
    if body.source_account:
        equals["AWS:SourceAccount"] = body.source_account
    if body.principal_org_id:
        equals["aws:PrincipalOrgID"] = body.principal_org_id
    if equals:
        condition["StringEquals"] = equals
    return {**statement, "Condition": condition} if condition else statement


def _policy(statements: list[Statement]) -> dict[str, Json]:
    return {"Version": "2012-10-17", "Id": "default", "Statement": statements}


def _check_revision(statements: list[Statement], revision: str | None) -> None:
    if revision and revision != revision_of(statements):
        raise FunctionRevisionError("The policy was changed since; read it again.")
