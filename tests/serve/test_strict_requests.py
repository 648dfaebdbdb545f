"""Requests made to break what reads them are refused with 400, in the words of the dialect."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from tests.serve.accounts import serving

CHAT, CONVERSE, PROJECTS = "/v1/chat/completions", "/model/x/converse", "/api/projects"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with serving(tmp_path_factory.mktemp("home")) as service, service.client() as made:
        yield made


BOMBS = {
    "deep array": b"[" * 100_000 + b"]" * 100_000,
    "deep object": b'{"a":' * 500 + b"1" + b"}" * 500,
    "NaN": b'{"name": NaN}',
    "infinite": b'{"name": 1e999}',
    "huge integer": b'{"name": 123456789012345678901234567890}',
    "endless integer": b'{"name": ' + b"1" * 5000 + b"}",
    "escaped NUL": b'{"name": "a\\u0000"}',
    "NUL in a key": b'{"a\\u0000": 1}',
    "half a pair": b'{"name": "\\ud800"}',
    "half a pair in bytes": b'{"name": "\xed\xa0\x80"}',
    "NUL in UTF-16": json.dumps({"name": "a\0"}).encode("utf-16"),
}


@pytest.mark.parametrize("path", [CHAT, CONVERSE, PROJECTS])
@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_are_refused(client: httpx.Client, path: str, bomb: str) -> None:
    response = client.post(path, content=BOMBS[bomb], headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    body = response.json()
    if path == CONVERSE:
        assert response.headers["x-amzn-errortype"] == "ValidationException"
        assert "The body" in body["message"]
    else:
        assert "The body" in body["error"]["message"]


def test_what_looks_like_a_bomb_and_is_none_passes(client: httpx.Client) -> None:
    name = "NaN Infinity \\u0000 \\ud800 12345678901234567890 1e999 😀 [[["
    response = client.post(PROJECTS, json={"name": name})
    assert response.json()["name"] == name
    escaped = client.post(PROJECTS, content=b'{"name": "\\ud83d\\ude00"}', headers={"Content-Type": "application/json"})
    assert escaped.json()["name"] == "😀"


@pytest.mark.parametrize("path", ["/v1/models/a%00b", "/v1/files?after=%00", "/custom-models/a%00", "/api/keys/%00"])
def test_no_address_holds_nul(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 400


@pytest.mark.parametrize("host", ["[", "a/b", "a b", "x@y", 'a"b'])
def test_a_host_that_is_none_is_refused(client: httpx.Client, host: str) -> None:
    assert client.get("/v1/models", headers={"Host": host}).status_code == 400
