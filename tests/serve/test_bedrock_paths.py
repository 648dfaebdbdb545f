"""Path labels reach handlers whole, through a real server."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI

from tuneward.serve.bedrock.paths import RawPaths
from tuneward.serve.server import Server, bind

ARN = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abc123def456"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    app = FastAPI()
    app.add_middleware(RawPaths)

    @app.get("/model/{model_id:label}/converse")
    def aws(model_id: str) -> str:
        return model_id

    @app.get("/v1/models/{model_id}")
    def openai(model_id: str) -> str:
        return model_id

    with Server(app, bind("127.0.0.1", 0)) as server:
        yield server.url


@pytest.mark.parametrize("label", [ARN, "amazon.nova-2-lite-v1:0:256k", "a%2Fb", "50%", "ü/é", "a b+c", "a?b#c"])
def test_a_label_arrives_as_it_was_before_its_encoding(url: str, label: str) -> None:
    assert httpx.get(f"{url}/model/{quote(label, safe='')}/converse").json() == label


def test_an_arn_whose_slash_is_not_encoded_is_two_labels(url: str) -> None:
    assert httpx.get(f"{url}/model/{ARN}/converse").status_code == 404


@pytest.mark.parametrize("name", ["ft:tiny:org:name:abcd1234", "ft%3Atiny%3Aorg%3Aname%3Aabcd1234"])
def test_ids_with_colons_under_v1_keep_working(url: str, name: str) -> None:
    assert httpx.get(f"{url}/v1/models/{name}").json() == "ft:tiny:org:name:abcd1234"
