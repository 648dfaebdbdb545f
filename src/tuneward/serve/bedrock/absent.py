"""What Bedrock offers around custom models and this server does not: refused with the reason, and lists are empty."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends

from tuneward.serve.bedrock.validation import validation_exception
from tuneward.serve.deps import allow

routes = APIRouter(include_in_schema=False, dependencies=[Depends(allow("viewer"))])

_DEPLOY = "Provisioned throughput is not supported: use an on-demand deployment (CreateCustomModelDeployment)."
_EVALUATE = "Evaluation jobs are not supported: a job evaluates itself on its validation data while it trains."
_IMPORT = "Models cannot be brought from S3: name them in the server's configuration (`models`)."
_COPY = "Models cannot be copied between regions: there is one."

_REFUSED = {
    "/provisioned-model-throughput": _DEPLOY,
    "/provisioned-model-throughput/{id:label}": _DEPLOY,
    "/evaluation-jobs": _EVALUATE,
    "/evaluation-jobs/{id:label}": _EVALUATE,
    "/evaluation-job/{id:label}/stop": _EVALUATE,
    "/custom-models/create-custom-model": _IMPORT,
    "/model-import-jobs": _IMPORT,
    "/model-import-jobs/{id:label}": _IMPORT,
    "/model-copy-jobs": _COPY,
    "/model-copy-jobs/{id:label}": _COPY,
}
_EMPTY = {
    "/provisioned-model-throughputs": "provisionedModelSummaries",
    "/evaluation-jobs": "jobSummaries",
    "/model-import-jobs": "modelImportJobSummaries",
    "/model-copy-jobs": "modelCopyJobSummaries",
    "/imported-models": "modelSummaries",
    "/inference-profiles": "inferenceProfileSummaries",
}


def _list_nothing(path: str, member: str) -> None:
    @routes.get(path)
    def answer() -> dict[str, list[Any]]:
        return {member: []}


def _refuse(path: str, reason: str) -> None:
    methods = ["POST"] if path in _EMPTY or path.startswith("/custom-models/") else ["GET", "POST", "PATCH", "DELETE"]

    @routes.api_route(path, methods=methods)
    def answer() -> None:
        raise validation_exception(reason)


for _path, _member in _EMPTY.items():
    _list_nothing(_path, _member)
for _path, _reason in _REFUSED.items():
    _refuse(_path, _reason)
