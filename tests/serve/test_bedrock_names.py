"""Every name that a tuned model has reaches it through Bedrock's runtime, and nobody else's does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.requests import Request
from tests.serve.bedrock import runtime_client, said
from tests.serve.bedrock_rows import bedrock_client
from tests.serve.test_host import ME, OTHER, Place

from tuneward.accounts.principal import Principal
from tuneward.serve.app import create_app
from tuneward.serve.build import build_services
from tuneward.serve.server import Server, bind
from tuneward.store.tables import Model

HELLO = [said("Hello")]


@pytest.fixture(scope="module")
def app(tiny_chat_model: Path, adapters: list[Path], tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    place = Place(tmp_path_factory.mktemp("place"), tiny_chat_model, adapters)

    def rename(session: Session) -> None:
        for model in session.scalars(select(Model)):
            model.id = f"{model.id:x<12}"  # as long as ids in ARNs are

    place.database.write(rename)

    async def authenticate(request: Request) -> Principal:
        return OTHER if "AKIDOTHER" in request.headers.get("authorization", "") else ME

    return create_app(build_services(place.config, place.host(), authenticate))


@pytest.fixture(scope="module")
def url(app: FastAPI) -> Iterator[str]:
    with Server(app, bind("127.0.0.1", 0)) as server:
        yield server.url


def text_of(bedrock: Any, name: str) -> str:
    answer = bedrock.converse(modelId=name, messages=HELLO, inferenceConfig={"maxTokens": 8, "temperature": 0})
    return str(answer["output"]["message"]["content"][0]["text"])


def test_a_deployment_answers_with_the_model_behind_it_also_after_a_swap(url: str) -> None:
    control, bedrock = bedrock_client(url), runtime_client(url)
    arns = {entry["modelName"]: entry["modelArn"] for entry in control.list_custom_models()["modelSummaries"]}
    made = control.create_custom_model_deployment(modelDeploymentName="mine", modelArn=arns["mine-0"])
    arn = made["customModelDeploymentArn"]
    first, second = text_of(bedrock, "ft:tiny:tuneward::0"), text_of(bedrock, "ft:tiny:tuneward::1")
    assert first != second
    assert text_of(bedrock, arn) == text_of(bedrock, arns["mine-0"]) == first
    control.update_custom_model_deployment(customModelDeploymentIdentifier="mine", modelArn=arns["mine-1"])
    assert text_of(bedrock, arn) == second
    foreign = runtime_client(url, key="AKIDOTHER")
    for name in (arn, arns["mine-0"], "ft:tiny:tuneward::0"):
        with pytest.raises(foreign.exceptions.ResourceNotFoundException):
            text_of(foreign, name)
    control.delete_custom_model_deployment(customModelDeploymentIdentifier="mine")
    with pytest.raises(bedrock.exceptions.ResourceNotFoundException):
        text_of(bedrock, arn)


def test_a_base_model_is_reached_by_every_id_that_lists_give(url: str) -> None:
    bedrock = runtime_client(url)
    listed = bedrock_client(url).list_foundation_models()["modelSummaries"]
    found = next(entry for entry in listed if "tiny" in entry["modelId"])
    assert text_of(bedrock, found["modelId"]) == text_of(bedrock, found["modelArn"]) == text_of(bedrock, "tiny")
