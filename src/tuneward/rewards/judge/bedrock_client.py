"""Judge models of Amazon Bedrock, through Converse.

Source: Bedrock RFT contract, 4.8 and 8.8.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from tuneward.config.reward import ConnectionConfig
from tuneward.errors import GraderError
from tuneward.rewards.judge.client import Reply
from tuneward.rewards.judge.negotiate import Negotiator, RefusedRequestError
from tuneward.rewards.judge.request import Request, SendError, one_line

PASSING = frozenset(
    {
        "ThrottlingException",
        "TooManyRequestsException",
        "InternalServerException",
        "InternalFailure",
        "ServiceUnavailableException",
        "ModelNotReadyException",
        "ModelErrorException",
    }
)
"""Error codes worth another try."""

INFERENCE_NAMES = {"temperature": "temperature", "top_p": "topP"}
"""Settings that Converse has for every model; the others are not sent."""

SETTING_WORDS = {
    "temperature": ("temperature",),
    "top_p": ("top_p", "topp"),
    "output_config": ("outputconfig", "output_config", "textformat", "json_schema", "schema", "structured"),
    "tool": ("tool",),
}
ANSWER_TOOL = "answer"
REFUSING = frozenset({"guardrail_intervened", "content_filtered"})
TRUNCATING = frozenset({"max_tokens", "model_context_window_exceeded"})


class BedrockProvider:
    """`Provider` over a boto3 client, which finds credentials and addresses as boto3 does.

    A schema is asked for as `outputConfig`, else as the arguments of a tool that must be called, else in words,
    depending on what the model takes.

    Args:
        connection: region, limits; `url` replaces the address.

    Raises:
        GraderError: boto3 finds no region.
    """

    def __init__(self, connection: ConnectionConfig) -> None:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        config = Config(
            connect_timeout=min(10.0, connection.timeout_s),
            read_timeout=connection.timeout_s,
            max_pool_connections=connection.concurrency,
            retries={"total_max_attempts": 1},  # Tries are counted by the client around this.
        )
        try:
            self._bedrock = boto3.client(
                "bedrock-runtime", region_name=connection.region, endpoint_url=connection.url, config=config
            )
        except (BotoCoreError, ValueError) as error:
            raise GraderError(
                f"Amazon Bedrock cannot be used as a judge: {one_line(str(error))}. Set connection.region, or "
                "AWS_REGION and the credentials as for any AWS tool."
            ) from None
        self._timeout_s = connection.timeout_s
        self._negotiator = Negotiator(SETTING_WORDS, ["output_config", "tool"])

    @property
    def address(self) -> str:
        """The endpoint of the region."""
        return str(self._bedrock.meta.endpoint_url)

    def send(self, request: Request) -> Reply:
        """One try; settings that the model refuses are left out. Raises SendError."""
        return self._negotiator.send(
            request.model,
            lambda left_out: _used(request, left_out),
            lambda left_out: self._converse(request, left_out),
        )

    def close(self) -> None:
        """Close the connections."""
        self._bedrock.close()

    def _converse(self, request: Request, left_out: frozenset[str]) -> Reply:
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, ReadTimeoutError

        started = time.monotonic()
        try:
            answer = self._bedrock.converse(**_arguments(request, left_out))
        except ClientError as error:
            raise self._refusal(error.response, request.model) from None
        except ReadTimeoutError:
            raise self._timeout() from None
        except HTTPClientError as error:
            raise SendError(f"{self.address} cannot be reached ({one_line(str(error))}).", is_passing=True) from None
        except BotoCoreError as error:
            raise SendError(f"{self.address} was not asked: {one_line(str(error))}.") from None
        return _reply(answer, request.model, time.monotonic() - started)

    def _timeout(self) -> SendError:
        advice = "Raise connection.timeout_s, or lower connection.concurrency."
        return SendError(f"{self.address} did not answer within {self._timeout_s:g} s. {advice}", "timeout")

    def _refusal(self, response: Mapping[str, Any], model: str) -> SendError:
        code = str(response.get("Error", {}).get("Code", ""))
        said = one_line(str(response.get("Error", {}).get("Message", ""))) or "no reason given"
        message = f'{self.address} answered {code} for model "{model}": {said}.'
        if code == "ValidationException":
            return RefusedRequestError(message, said)
        if code == "ModelTimeoutException":
            return SendError(message, "timeout")
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return SendError(message, is_passing=code in PASSING or status == 429 or status >= 500)


def _schema_form(request: Request, left_out: frozenset[str]) -> str | None:
    """How the schema is asked for; None: in words, or there is none."""
    if request.schema is None:
        return None
    return next((form for form in ("output_config", "tool") if form not in left_out), None)


def _used(request: Request, left_out: frozenset[str]) -> set[str]:
    names = {name for name in request.settings if name in INFERENCE_NAMES and name not in left_out}
    form = _schema_form(request, left_out)
    return names | {form} if form else names


def _arguments(request: Request, left_out: frozenset[str]) -> dict[str, Any]:
    """The arguments of Converse. Source: Bedrock RFT contract, 8.8."""
    form = _schema_form(request, left_out)
    messages = request.messages if form else request.told_messages()
    arguments: dict[str, Any] = {
        "modelId": request.model,
        "messages": [_message(message) for message in messages if message["role"] != "system"],
        "inferenceConfig": {
            "maxTokens": request.max_tokens,
            **{
                INFERENCE_NAMES[name]: value
                for name, value in request.settings.items()
                if name in INFERENCE_NAMES and name not in left_out
            },
        },
    }
    if system := [{"text": message["content"]} for message in messages if message["role"] == "system"]:
        arguments["system"] = system
    if form == "output_config":
        structure = {"jsonSchema": {"name": "answer", "schema": json.dumps(request.schema)}}
        arguments["outputConfig"] = {"textFormat": {"type": "json_schema", "structure": structure}}
    elif form == "tool":
        tool = {"name": ANSWER_TOOL, "description": "Give the answer.", "inputSchema": {"json": request.schema}}
        arguments["toolConfig"] = {"tools": [{"toolSpec": tool}], "toolChoice": {"tool": {"name": ANSWER_TOOL}}}
    return arguments


def _message(message: Mapping[str, str]) -> dict[str, Any]:
    return {"role": message["role"], "content": [{"text": message["content"]}]}


def _reply(answer: Mapping[str, Any], model: str, latency_s: float) -> Reply:
    blocks = answer.get("output", {}).get("message", {}).get("content", [])
    calls = [block["toolUse"] for block in blocks if "toolUse" in block]
    text = "".join(block["text"] for block in blocks if "text" in block)
    if calls and calls[0].get("name") == ANSWER_TOOL:
        text = json.dumps(calls[0].get("input"))
    usage = answer.get("usage", {})
    cached = int(usage.get("cacheReadInputTokens") or 0)
    ending = answer.get("stopReason")
    is_refused = ending in REFUSING
    return Reply(
        text="" if is_refused else text,
        model=model,
        # Bedrock counts what it read from its cache beside the input tokens.
        prompt_tokens=int(usage.get("inputTokens") or 0) + cached + int(usage.get("cacheWriteInputTokens") or 0),
        completion_tokens=int(usage.get("outputTokens") or 0),
        cached_tokens=cached,
        latency_s=latency_s,
        refusal=f"{ending}: {one_line(text) or 'no words'}" if is_refused else None,
        is_truncated=ending in TRUNCATING,
    )
