"""Another project's objects look exactly like missing ones, on every route that names an object.

A new route with an object in its path fails here until it is told how to name one: add its parameter to `_names`, and
its body, if it needs one, to `BODIES`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.testclient import TestClient
from tests.kept_rollouts import keep_rollouts
from tests.serve.job_folders import keep_job_folder
from tests.serve.routes import Listed, all_routes
from tests.service import app_with

from tuneward.accounts.keys import create_key
from tuneward.accounts.principal import Principal
from tuneward.accounts.projects import create_project
from tuneward.jobs.arns import Arns
from tuneward.jobs.places import job_home
from tuneward.rewards.functions.archive import pack_file
from tuneward.serve.services import Services
from tuneward.store.ids import new_id
from tuneward.store.tables import (
    Checkpoint,
    CheckpointPermission,
    Deployment,
    File,
    Job,
    Model,
    Project,
    StoredResponse,
    Upload,
)

PUBLIC = re.compile(r".*\{modelIdentifier:label\}")
"""Below `/foundation-models`, base models are everybody's."""
NOT_OFFERED = ("/evaluation-job", "/model-copy-jobs", "/model-import-jobs", "/provisioned-model-throughput")
NEEDS_A_MODEL = ("/model/", "/v1/models/")
"""The owner, too, gets 404 here, as the server of this test has no weights."""

PERMISSION = {"StatementId": "other", "Action": "lambda:InvokeFunction", "Principal": "bedrock.amazonaws.com"}
SPEC = {
    "method": "reinforcement",
    "base_model": "smollm2-135m",
    "training": {"kind": "uri", "uri": "s3://a/b"},
    "config": {},
}
CONVERSE = {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}
INVOKE = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5}
ROW = {"messages": [{"role": "user", "content": "2 + 2?"}]}
BODIES: dict[str, Any] = {
    "POST /v1/fine_tuning/checkpoints/{model:path}/permissions": {"project_ids": ["{caller}"]},
    "POST /v1/uploads/{upload_id}/complete": {"part_ids": ["part_1"]},
    "POST /model/{model_id:label}/converse": CONVERSE,
    "POST /model/{model_id:label}/converse-stream": CONVERSE,
    "POST /model/{model_id:label}/count-tokens": {"input": {"converse": CONVERSE}},
    "POST /model/{model_id:label}/invoke": INVOKE,
    "POST /model/{model_id:label}/invoke-with-response-stream": INVOKE,
    "POST /2015-03-31/functions/{name:label}/aliases": {"Name": "other", "FunctionVersion": "1"},
    "PUT /2015-03-31/functions/{name:label}/aliases/{alias:label}": {"Description": "other"},
    "POST /2015-03-31/functions/{name:label}/policy": PERMISSION,
    "POST /2017-03-31/tags/{arn:label}": {"Tags": {"a": "b"}},
    "PUT /2017-10-31/functions/{name:label}/concurrency": {"ReservedConcurrentExecutions": 1},
    "PATCH /model-customization/custom-model-deployments/{customModelDeploymentIdentifier:label}": {
        "modelArn": "{model}"
    },
    "POST /tagResource": {"resourceARN": "{model}", "tags": [{"key": "a", "value": "b"}]},
    "POST /untagResource": {"resourceARN": "{model}", "tagKeys": ["a"]},
    "POST /listTagsForResource": {"resourceARN": "{model}"},
    "POST /api/jobs/{job_id}/checkpoints/{step}/deploy": {"name": "theirs"},
    "POST /api/grade": {"job_id": "{job_id}", "row": ROW, "completions": ["4"]},
    "POST /api/rows": {"file_id": "{file_id}", "row": ROW},
    "POST /api/rewards/test": {
        "reward": {"template": "math_answer"},
        "source": {"kind": "file", "file_id": "{file_id}"},
    },
    "PUT /api/functions/{name}/code": {"files": {"reward.py": "def lambda_handler(event, context):\n    return 1\n"}},
    "POST /api/data/inspect": {"source": {"kind": "file", "file_id": "{file_id}"}},
    "POST /model-customization/custom-model-deployments": {"modelDeploymentName": "mine", "modelArn": "{model}"},
}
ALLOWING = Listed("POST", "/2015-03-31/functions/{name:label}/policy", ())
"""Gives a function the statement that others read."""
QUERIES = {
    "DELETE /2017-03-31/tags/{arn:label}": {"tagKeys": "a"},
    "GET /api/jobs/{job_id}/live": {"follow": "false"},
    "GET /api/jobs/{job_id}/rollouts/group": {"step": "1", "row": "row-0"},
    "GET /api/jobs/{job_id}/rollouts/history": {"row": "row-0"},
}
FORMS = {"POST /v1/uploads/{upload_id}/parts": {"data": ("part", b"x")}}
OBJECTS_IN_BODIES = {name for name in BODIES if "{" not in name}


class World:
    """An application with two projects and their administrators."""

    def __init__(self, home: Path):
        self.app = app_with(home, authenticate=self._authenticate)
        self.services: Services = self.app.state.services
        self.caller = create_project(self.services.database, "caller")
        self.owner = create_project(self.services.database, "owner")
        self.client = TestClient(self.app, raise_server_exceptions=False)

    async def _authenticate(self, request: Request) -> Principal:
        project = {"caller": self.caller, "owner": self.owner}[request.headers["authorization"]]
        return Principal("key_test", project.id, project.account_id, "admin")

    def call(self, who: str, route: Listed, names: dict[str, str]) -> httpx.Response:
        """Call a route with the names of objects in its path and body."""
        path = re.sub(r"\{(\w+)(:\w+)?\}", lambda found: _quoted(names[found[1]], found[2]), route.path)
        body = _filled(BODIES.get(route.name), {**names, "caller": self.caller.id})
        return self.client.request(
            route.method,
            path,
            headers={"authorization": who},
            json=body if body is not None or route.name in FORMS else ({} if route.method in ("POST", "PUT") else None),
            files=FORMS.get(route.name),
            params=QUERIES.get(route.name),
        )


def _quoted(name: str, convertor: str | None) -> str:
    return name if convertor == ":path" else quote(name, safe="")


def _filled(body: Any, names: dict[str, str]) -> Any:
    if isinstance(body, dict):
        return {key: _filled(value, names) for key, value in body.items()}
    if isinstance(body, list):
        return [_filled(value, names) for value in body]
    return names[body[1:-1]] if isinstance(body, str) and body.startswith("{") else body


def _names(services: Services, owner: Project) -> dict[str, dict[str, str]]:
    """Names of objects that a project has: of each parameter in each group of routes."""
    made = _Rows(services, owner)
    arns = Arns("us-east-1", owner.account_id)
    job, model, deployment = made.job.id, made.model.id, made.deployment.id
    function = {"name": made.function, "alias": "live", "statement_id": "other", "arn": made.function_arn}
    by_arn = {
        "jobIdentifier": arns.job("tuneward.tiny:0:256k", job),
        "modelIdentifier": arns.model("tuneward.tiny:0:256k", model),
        "customModelDeploymentIdentifier": arns.deployment(deployment),
        "model_id": arns.deployment(deployment),
        "model": arns.model("tuneward.tiny:0:256k", model),
    }
    by_name = {
        **by_arn,
        "jobIdentifier": made.job.name,
        "modelIdentifier": made.model.custom_name,
        "customModelDeploymentIdentifier": made.deployment.name,
    }
    ours = {
        "file_id": made.file.id,
        "upload_id": made.upload.id,
        "job_id": f"ftjob-{job}",
        "response_id": made.response.id,
        "model": made.checkpoint.model_name,
        "permission_id": made.permission.id,
        "key_id": made.key_id,
        "step": str(made.checkpoint.step),
    }
    return {
        "/v1/models": {"name": made.model.name},
        "/v1": ours,
        "/api": {**ours, "name": made.function},
        "/20": function,
        "by ARN": by_arn,
        "by name": by_name,
    }


class _Rows:
    """One object of every kind, as workers and callers leave them."""

    def __init__(self, services: Services, owner: Project):
        now, project_id = time.time(), owner.id
        ids = {"project_id": project_id, "created_at": now}
        file = {"purpose": "fine-tune", "filename": "a.jsonl", "bytes": 1, "expires_at": now + 1000}
        self.file = File(id=new_id("file-"), sha256="0" * 64, status="processed", status_details=None, **ids, **file)
        self.upload = Upload(
            id=new_id("upload_"),
            mime_type="text/jsonl",
            status="pending",
            file_id=None,
            file_expires_after_s=None,
            **ids,
            **file,
        )
        job_id, model_id = new_id(), new_id()
        self.job = Job(
            id=job_id, created_by="key_test", name=f"job-{job_id}", state="running", dialect="openai",
            model="smollm2-135m", spec=SPEC, request={}, updated_at=now, phases={}, progress={}, result_files=[],
            model_id=model_id, **ids,
        )  # fmt: skip
        self.model = Model(
            id=model_id, job_id=job_id, name=f"ft:tiny:tuneward:s:{model_id[:8]}", custom_name=f"model-{model_id}",
            base_model="smollm2-135m", step=1, adapter=f"projects/{project_id}/jobs/{job_id}/adapters/step-1", **ids,
        )  # fmt: skip
        self.checkpoint = Checkpoint(
            id=new_id("ftckpt_"), job_id=job_id, step=1, model_name=f"{self.model.name}:ckpt-step-1", metrics={},
            adapter=self.model.adapter, **ids,
        )  # fmt: skip
        self.permission = CheckpointPermission(id=new_id("cp_"), checkpoint_id=self.checkpoint.id, **ids)
        self.deployment = Deployment(
            id=new_id(), name=f"deployment-{model_id}", description=None, model_id=model_id, status="Active",
            failure=None, update=None, updated_at=now, **ids,
        )  # fmt: skip
        self.response = StoredResponse(
            id=new_id("resp_"), body={"response": {}, "input": []}, messages=[], expires_at=now + 1000, **ids
        )

        def add(session: Session) -> None:
            for row in (self.file, self.upload, self.job, self.model):
                session.add(row)
            session.flush()
            for row in (self.checkpoint, self.deployment, self.response):
                session.add(row)
            session.flush()
            session.add(self.permission)

        services.database.write(add)
        path = services.home / "projects" / project_id / "files" / self.file.id
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        keep_job_folder(services.home, self.job, self.checkpoint)
        keep_rollouts(job_home(services.home, project_id, job_id) / "run" / "rollouts.db", steps=1)
        self.key_id = create_key(services.database, project_id, "theirs", "viewer").info.id
        self.function = new_id("theirs-")
        self.function_arn = f"arn:aws:lambda:us-east-1:{owner.account_id}:function:{self.function}"
        self._register(services, owner)

    def _register(self, services: Services, owner: Project) -> None:
        registry = services.functions(owner.id, owner.account_id)
        code = pack_file("reward.py", b"def lambda_handler(event, context):\n    return []\n")
        registry.create(self.function, code, handler="reward.lambda_handler")
        registry.set_alias(self.function, "live", version=registry.publish(self.function).version)


def _group(path: str, kind: str) -> str:
    for start in ("/v1/models", "/v1", "/api", "/20"):
        if path.startswith(start):
            return start
    return kind


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("home"))
    with made.client:
        yield made


def routes_with_objects(home: Path) -> list[Listed]:
    listed = [route for route in all_routes(app_with(home)) if "{" in route.path or route.name in OBJECTS_IN_BODIES]
    return [
        route
        for route in listed
        if route.roles
        and not route.path.startswith(NOT_OFFERED)
        and not (route.path.startswith("/foundation-models") and PUBLIC.fullmatch(route.path))
    ]


def missing(name: str) -> str:
    """A name of the same kind that nothing has: other characters where ids and made-up names have theirs."""
    return re.sub(r"[a-z0-9]{8,12}(?=$|:ckpt)", lambda found: "z" * len(found[0]), name)


def without(text: str, names: dict[str, str]) -> str:
    """An answer with the names, and the ids at their ends, taken out."""
    parts = {part for name in names.values() for part in (name, name[-12:])}
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, "NAME").replace(missing(part), "NAME")
    return text


@pytest.mark.parametrize("kind", ["by ARN", "by name"])
def test_another_projects_objects_look_like_missing_ones(world: World, tmp_path: Path, kind: str) -> None:
    routes = [one for one in routes_with_objects(tmp_path) if kind == "by ARN" or _group(one.path, kind) == kind]
    assert len(routes) > 10
    of_owner = _names(world.services, world.owner)
    problems = []
    for route in routes:
        names = of_owner[_group(route.path, kind)]
        foreign = world.call("caller", route, names)
        absent = world.call("caller", route, {key: missing(name) for key, name in names.items()})
        said, said_of_absent = without(foreign.text, names), without(absent.text, names)
        if (foreign.status_code, absent.status_code) != (404, 404) or said != said_of_absent:
            problems.append(f"{route.name}: {foreign.status_code} {said} / {absent.status_code} {said_of_absent}")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("kind", ["by ARN", "by name"])
def test_their_owner_finds_them(world: World, tmp_path: Path, kind: str) -> None:
    """Else the test above would pass for names that name nothing."""
    routes = [one for one in routes_with_objects(tmp_path) if kind == "by ARN" or _group(one.path, kind) == kind]
    problems = []
    of_owner = _names(world.services, world.owner)
    for route in sorted(routes, key=lambda one: one.method != "GET"):
        if route.path.startswith(NEEDS_A_MODEL):
            continue
        names = (of_owner if route.method == "GET" else _names(world.services, world.owner))[_group(route.path, kind)]
        if "policy" in route.path:
            world.call("owner", ALLOWING, names)
        answer = world.call("owner", route, names)
        if answer.status_code in (401, 403, 404, 405) or answer.status_code >= 500:
            problems.append(f"{route.name}: {answer.status_code} {answer.text}")
    assert not problems, "\n".join(problems)
