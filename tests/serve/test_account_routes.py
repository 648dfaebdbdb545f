"""Managing keys and projects over HTTP: who may, and for whom."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from tests.serve.accounts import Service, aws, bearer, serving

from tuneward.accounts.projects import create_project


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(tmp_path_factory.mktemp("home")) as running:
        yield running


def test_an_administrator_makes_shows_and_revokes_keys(service: Service) -> None:
    with service.client() as admin:
        made = admin.post("/api/keys", json={"name": "ci", "role": "viewer", "expires_in_s": 3600}).json()
        assert made["expires_at"] == pytest.approx(made["created_at"] + 3600, abs=5)
        assert httpx.get(f"{service.url}/v1/models", headers=bearer(made["secret"])).status_code == 200
        listed = {key["id"]: key for key in admin.get("/api/keys").json()["data"]}
        assert listed[made["id"]]["role"] == "viewer"
        assert "secret" not in listed[made["id"]]
        assert admin.delete(f"/api/keys/{made['id']}").json()["revoked_at"] is not None
        assert admin.delete("/api/keys/key_none").status_code == 404


def test_an_access_key_made_over_http_signs(service: Service) -> None:
    with service.client() as admin:
        made = admin.post("/api/keys", json={"name": "boto", "kind": "access"}).json()
        client = aws("bedrock", service.url, made["id"], made["secret"])
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.get_custom_model(modelIdentifier="nothing")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "a\u0000b"},
        {"name": "x", "role": "owner"},
        {"name": "x", "expires_in_s": 0},
        {"name": "x", "expires_in_s": 10**18},
        {"name": "x", "kind": "access", "expires_in_s": 5},
        {"name": "x", "colour": "red"},
        [],
    ],
)
def test_what_cannot_be_made_is_refused_with_400(service: Service, body: object) -> None:
    with service.client() as admin:
        assert admin.post("/api/keys", json=body).status_code == 400


def test_only_the_default_projects_administrators_reach_beyond_their_project(service: Service) -> None:
    with service.client() as head:
        project = head.post("/api/projects", json={"name": "team b"}).json()
        assert project["account_id"] == "000000000001"
        assert head.post("/api/projects", json={"name": "team b"}).status_code == 400
        made = head.post("/api/keys", json={"name": "theirs", "role": "admin", "project": project["id"]}).json()
        assert head.post("/api/keys", json={"name": "x", "project": "proj_none"}).status_code == 404
        ours = head.post("/api/keys", json={"name": "ours"}).json()
    with httpx.Client(base_url=service.url, headers=bearer(made["secret"])) as admin:
        assert [key["id"] for key in admin.get("/api/keys").json()["data"]] == [made["id"]]
        assert admin.post("/api/keys", json={"name": "x", "project": "proj_default"}).status_code == 404
        assert admin.delete(f"/api/keys/{ours['id']}").status_code == 404
        assert admin.post("/api/projects", json={"name": "c"}).status_code == 403
        assert admin.post("/api/keys", json={"name": "more", "role": "admin"}).json()["project_id"] == project["id"]


@pytest.mark.parametrize("role", ["viewer", "developer"])
def test_no_lesser_role_manages_keys(service: Service, role: str) -> None:
    with service.client(service.key(role)) as client:
        for method, path in (
            ("GET", "/api/keys"),
            ("POST", "/api/keys"),
            ("DELETE", "/api/keys/key_x"),
            ("GET", "/api/audit"),
        ):
            response = client.request(method, path, json={"name": "x"} if method == "POST" else None)
            assert response.status_code == 403
            assert response.json()["error"]["code"] == "insufficient_role"


def test_a_project_made_elsewhere_is_listed(service: Service) -> None:
    project = create_project(service.database, "made by the command line")
    with service.client() as head:
        assert project.id in {one["id"] for one in head.get("/api/projects").json()["data"]}
