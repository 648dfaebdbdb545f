"""No route is open by accident: each asks for a role, and nobody gets to one without a key."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.serve.routes import all_routes
from tests.service import app_with

from tuneward.accounts.principal import Principal
from tuneward.serve.auth import fixed_key

OPEN = {
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "GET /2015-03-31/downloads/{token}",
    "POST /api/session",
    "DELETE /api/session",
}
"""For those who run the server; an address that is itself the permission; and where a key is brought in the body."""

READ_BY_ADMINISTRATORS = {"GET /api/audit", "GET /api/keys", "GET /api/projects", "GET /api/settings"}
CHANGE_NOTHING = ("/evaluation-job", "/model-copy-jobs", "/model-import-jobs", "/provisioned-model-throughput")
"""What this server does not offer is refused to everybody in the same words."""


def test_every_route_asks_for_exactly_one_role(tmp_path: Path) -> None:
    for route in all_routes(app_with(tmp_path)):
        assert len(route.roles) == (0 if route.name in OPEN else 1), route.name


def test_viewers_change_nothing(tmp_path: Path) -> None:
    for route in all_routes(app_with(tmp_path)):
        if route.name in OPEN or route.path.startswith(CHANGE_NOTHING):
            continue
        if route.method == "GET":
            expected = "admin" if route.name in READ_BY_ADMINISTRATORS else "viewer"
            assert route.roles == (expected,), route.name
        elif route.path not in ("/listTagsForResource", "/custom-models/create-custom-model"):
            assert route.roles != ("viewer",), route.name


def test_nobody_gets_to_a_route_without_a_key(tmp_path: Path) -> None:
    app = app_with(tmp_path, authenticate=fixed_key("the key"))
    with TestClient(app) as client:
        for route in all_routes(app):
            if route.name in OPEN:
                continue
            path = route.path.split("{")[0] + ("x" if "{" in route.path else "")
            for headers in ({}, {"Authorization": "Bearer another"}):
                response = client.request(route.method, path, headers=headers)
                assert response.status_code in (401, 403), route.name


@pytest.mark.parametrize(
    "path", ["/v1/fine_tuning/jobs", "/model-customization-jobs", "/2015-03-31/functions", "/nowhere"]
)
def test_a_request_that_is_wrong_in_other_ways_is_refused_for_its_key_first(tmp_path: Path, path: str) -> None:
    with TestClient(app_with(tmp_path, authenticate=fixed_key("the key"))) as client:
        response = client.post(path, content=b"{no json", headers={"Content-Type": "application/json"})
        assert response.status_code in (401, 403)


@pytest.mark.parametrize(("role", "may"), [("viewer", 1), ("developer", 2), ("admin", 3)])
def test_each_role_may_what_those_before_it_may(role: str, may: int) -> None:
    principal = Principal("key", "proj", "0", role)  # type: ignore[arg-type]
    assert [principal.may(needed) for needed in ("viewer", "developer", "admin")] == [True] * may + [False] * (3 - may)
