"""Who may do what on the control plane: signed requests, bearer keys, roles, projects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.serve.accounts import aws, serving
from tests.serve.bedrock_rows import bedrock_client, reinforcement_job
from tests.serve.test_tls import certificate

from tuneward.accounts.projects import create_project
from tuneward.serve.server import tls_context


def refusal(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**request)
    return str(caught.value.response["Error"]["Code"])


def test_signed_calls_see_their_own_project_alone(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as service:
        other = create_project(service.database, "other")
        keys = (service.access_key(), service.access_key(project=other.id))
        here, there = (aws("bedrock", service.url, key.info.id, key.secret) for key in keys)
        arn = here.create_model_customization_job(**reinforcement_job("mine"))["jobArn"]
        assert here.get_model_customization_job(jobIdentifier=arn)["jobName"] == "mine"
        for name in ("mine", arn):
            assert refusal(there.get_model_customization_job, jobIdentifier=name) == "ResourceNotFoundException"
            assert refusal(there.stop_model_customization_job, jobIdentifier=name) == "ResourceNotFoundException"
        assert refusal(there.list_tags_for_resource, resourceARN=arn) == "ResourceNotFoundException"
        theirs = there.create_model_customization_job(**reinforcement_job("mine"))["jobArn"]
        assert f":{other.account_id}:" in theirs


def test_roles_are_held(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as service:
        viewer, developer = (service.access_key(role) for role in ("viewer", "developer"))
        reads, works = (aws("bedrock", service.url, key.info.id, key.secret) for key in (viewer, developer))
        request = reinforcement_job("job")
        assert refusal(reads.create_model_customization_job, **request) == "AccessDeniedException"
        works.create_model_customization_job(**request)
        assert reads.get_model_customization_job(jobIdentifier="job")["jobName"] == "job"
        assert refusal(reads.stop_model_customization_job, jobIdentifier="job") == "AccessDeniedException"
        put = works.put_model_invocation_logging_configuration
        assert refusal(put, loggingConfig={"s3Config": {"bucketName": "logs"}}) == "AccessDeniedException"


def test_a_bearer_key_is_enough_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cert, key = certificate(tmp_path)
    with serving(tmp_path / "home", tls=tls_context(cert, key)) as service:
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", service.key("developer").secret)
        client = bedrock_client(service.url, verify=str(cert))
        client.create_model_customization_job(**reinforcement_job("job"))
        assert client.get_model_customization_job(jobIdentifier="job")["status"] == "InProgress"
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "wrong")
        stranger = bedrock_client(service.url, verify=str(cert))
        assert refusal(stranger.list_model_customization_jobs) in (
            "AccessDeniedException",
            "UnrecognizedClientException",
        )
