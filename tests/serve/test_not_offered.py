"""Requests for what this server has not are told what it is, and what to do instead."""

from __future__ import annotations

import openai
import pytest
from botocore.exceptions import ClientError
from tests.serve.bedrock_rows import bedrock_client

from tuneward.serve.not_offered import unanswered


def test_openais_client_shows_what_to_do_instead(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match=r"Embeddings are not offered: .* text alone"):
        client.embeddings.create(model="owner/tiny", input="Hello")
    with pytest.raises(openai.APIStatusError, match="Compaction is not offered") as refused:
        client.responses.compact(model="owner/tiny")
    assert refused.value.status_code == 405


def test_awss_client_shows_the_operation_and_what_to_do_instead(url: str) -> None:
    bedrock = bedrock_client(url)
    with pytest.raises(ClientError, match="ListGuardrails is not offered: check texts") as refused:
        bedrock.list_guardrails()
    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"
    with pytest.raises(ClientError, match=r"Nothing here answers ListAutomatedReasoningPolicies \(GET /auto"):
        bedrock.list_automated_reasoning_policies()


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/v1/evals", "Evals are not offered"),
        ("/v1/evals/eval_1/runs", "Evals are not offered"),
        ("/v1/audiobooks", "Nothing here answers GET /v1/audiobooks."),
        ("/v1/chat/completions/chatcmpl-1", "Stored chat completions are not offered"),
        ("/v1/responses/resp_1/cancel", "Responses in the background are not offered"),
        ("/v1/responses/resp_1/other", "Nothing here answers GET /v1/responses/resp_1/other."),
        ("/api/nothing", "Nothing here answers GET /api/nothing."),
    ],
)
def test_paths_of_openai_are_known_by_their_beginning(path: str, says: str) -> None:
    assert unanswered("openai", "GET", path).startswith(says)


def test_a_label_stands_for_one_part_of_a_path() -> None:
    assert unanswered("bedrock", "GET", "/inference-profiles/a%2Fb").startswith("GetInferenceProfile is not offered")
    assert unanswered("bedrock", "GET", "/inference-profiles/a/b").startswith("Nothing here answers GET /inference")
    assert unanswered("bedrock", "PATCH", "/inference-profiles/a").startswith("Nothing here answers PATCH /inference")


def test_operations_that_share_a_path_are_both_named() -> None:
    said = unanswered("lambda", "GET", "/2018-10-31/layers")
    assert said == "GetLayerVersionByArn or ListLayers is not offered: put what a function needs into its archive."
