"""InvokeModel with bodies in the native forms of models, called with unmodified boto3."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest
from tests.serve.bedrock import runtime_client, said

NOVA = {
    "schemaVersion": "messages-v1",
    "system": [{"text": "Be brief."}],
    "messages": [said("Hello")],
    "inferenceConfig": {"maxTokens": 8, "temperature": 0, "topK": 20},
}
CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8, "temperature": 0}


@pytest.fixture(scope="module")
def bedrock(url: str) -> Any:
    return runtime_client(url)


def invoke(bedrock: Any, body: Any, **more: Any) -> tuple[Any, dict[str, str]]:
    answer = bedrock.invoke_model(modelId="tuned-0", body=json.dumps(body), **more)
    return json.loads(answer["body"].read()), answer["ResponseMetadata"]["HTTPHeaders"]


def chunks(bedrock: Any, body: Any) -> list[Any]:
    answer = bedrock.invoke_model_with_response_stream(modelId="tuned-0", body=json.dumps(body))
    assert answer["contentType"] == "application/json"
    return [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]


def test_a_body_of_nova_is_answered_like_converse(bedrock: Any) -> None:
    answer, headers = invoke(bedrock, NOVA)
    config = {"maxTokens": 8, "temperature": 0}
    expected = bedrock.converse(
        modelId="tuned-0", system=NOVA["system"], messages=NOVA["messages"], inferenceConfig=config
    )
    assert answer["output"] == expected["output"]
    assert answer["stopReason"] == expected["stopReason"]
    assert headers["x-amzn-bedrock-input-token-count"] == str(expected["usage"]["inputTokens"])
    assert headers["x-amzn-bedrock-output-token-count"] == str(expected["usage"]["outputTokens"])
    assert int(headers["x-amzn-bedrock-invocation-latency"]) >= 0
    assert headers["content-type"] == "application/json"


def test_a_body_of_chat_completions_is_answered_like_one(bedrock: Any, client: openai.OpenAI) -> None:
    answer, _headers = invoke(bedrock, CHAT, contentType="application/json", accept="application/json")
    expected = client.chat.completions.create(model="tuned-0", **CHAT)
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["content"] == expected.choices[0].message.content
    assert answer["usage"]["total_tokens"] == expected.usage.total_tokens  # type: ignore[union-attr]
    parts = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
    assert invoke(bedrock, CHAT | {"messages": parts})[0]["choices"] == answer["choices"]


def test_native_streams_say_what_the_whole_answers_say(bedrock: Any) -> None:
    whole, _headers = invoke(bedrock, NOVA)
    events = chunks(bedrock, NOVA)
    texts = [event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event]
    assert "".join(texts) == whole["output"]["message"]["content"][0]["text"]
    assert [*events[0]] == ["messageStart"]
    assert "metadata" in events[-1]
    whole, _headers = invoke(bedrock, CHAT)
    events = chunks(bedrock, CHAT)
    texts = [choice["delta"].get("content", "") for event in events for choice in event["choices"]]
    assert "".join(texts) == whole["choices"][0]["message"]["content"]
    assert [event["object"] for event in events] == ["chat.completion.chunk"] * len(events)
    metrics = events[-1]["amazon-bedrock-invocationMetrics"]
    assert metrics["outputTokenCount"] == whole["usage"]["completion_tokens"]
    assert all("amazon-bedrock-invocationMetrics" not in event for event in events[:-1])


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("not json", "not JSON"),
        ("[]", "JSON object"),
        (json.dumps({"prompt": "Hello"}), "none of the forms"),
        (json.dumps({"anthropic_version": "bedrock-2023-05-31", "messages": []}), "none of the forms"),
        (json.dumps(NOVA | {"inferenceConfig": {"temperature": "hot"}}), "temperature"),
        (json.dumps(NOVA | {"messages": [{"role": "user", "content": [{"video": {}}]}]}), "video"),
        (json.dumps(CHAT | {"n": 0}), "'n'"),
        (json.dumps(CHAT | {"messages": [{"role": "user", "content": "\ud800"}]}), "nicode|surrogate"),
        ("[" * 100_000, "not JSON|deep|nest"),
    ],
)
def test_bad_bodies_are_refused_before_anything_is_computed(bedrock: Any, body: str, named: str) -> None:
    for operation in (bedrock.invoke_model, bedrock.invoke_model_with_response_stream):
        with pytest.raises(bedrock.exceptions.ValidationException, match=named):
            operation(modelId="tuned-0", body=body)


def test_metadata_in_the_header_must_be_an_object_of_texts(bedrock: Any) -> None:
    assert invoke(bedrock, CHAT, requestMetadata=json.dumps({"team": "a"}))[0]["choices"]
    for wrong in ("[]", "{", json.dumps({"a": 1}), json.dumps({"a": "ü"}), json.dumps({"a": "x" * 9000})):
        with pytest.raises(bedrock.exceptions.ValidationException, match="request-metadata"):
            invoke(bedrock, CHAT, requestMetadata=wrong)


def test_other_clients_need_not_encode_what_paths_may_hold(url: str) -> None:
    answer = httpx.post(f"{url}/model/tuned-0/converse", json={"messages": [said("Hello")]}, timeout=60)
    assert answer.status_code == 200
    refused = httpx.post(f"{url}/model/tuned-0/converse", content=b"{", headers={"Content-Type": "application/json"})
    assert (refused.status_code, refused.headers["x-amzn-errortype"]) == (400, "ValidationException")
    assert refused.json()["message"]
