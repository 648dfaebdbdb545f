"""Judge models behind `/chat/completions`: OpenAI, vLLM, llama.cpp, Ollama, Tuneward's own server, and others."""

from __future__ import annotations

import json
import os
import time
from typing import Any, NamedTuple

import httpx

from tuneward.config.reward import ConnectionConfig
from tuneward.errors import GraderError
from tuneward.rewards.judge.address import is_local, pause_s
from tuneward.rewards.judge.client import Reply
from tuneward.rewards.judge.negotiate import Negotiator, RefusedRequestError
from tuneward.rewards.judge.request import Request, SendError, one_line

DEFAULT_URL = "https://api.openai.com/v1"
REPLY_LIMIT_BYTES = 8 << 20
BUSY = frozenset({408, 409, 425, 429})
"""Statuses below 500 worth another try, as OpenAI's own clients do. Source: OpenAI contract, 1.4."""

SETTING_WORDS = {
    "temperature": ("temperature",),
    "top_p": ("top_p",),
    "seed": ("seed",),
    "reasoning_effort": ("reasoning_effort", "reasoning.effort"),
    "max_tokens": ("max_completion_tokens",),
    "response_format": ("response_format", "json_schema", "schema", "structured", "grammar", "guided"),
}
"""`max_tokens` is not left out but called `max_completion_tokens`, which reasoning models want."""


class OpenAIProvider:
    """`Provider` over HTTP.

    Args:
        connection: address, key, limits.

    Raises:
        GraderError: the address is not of this machine or network and there is no key for it, the key cannot be sent
            in a header, or the address itself holds one.
    """

    def __init__(self, connection: ConnectionConfig) -> None:
        self._url = (connection.url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_URL).rstrip("/")
        self._key_variable = connection.key_variable
        self._timeout_s = connection.timeout_s
        self._key = _key(self._url, connection.key_variable)
        self._negotiator = Negotiator(SETTING_WORDS, ["response_format"])
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        limits = httpx.Limits(max_connections=connection.concurrency, max_keepalive_connections=connection.concurrency)
        near = None
        if is_local(httpx.URL(self._url).host):
            # Proxies of the environment are for the world outside. Without TLS no certificates need to be loaded.
            near = httpx.HTTPTransport(verify=self._url.startswith("https:"), limits=limits)
        self._http = httpx.Client(headers=headers, timeout=connection.timeout_s, limits=limits, transport=near)

    @property
    def address(self) -> str:
        """The base address."""
        return self._url

    def send(self, request: Request) -> Reply:
        """One try; settings that the server refuses are left out. Raises SendError."""
        return self._negotiator.send(
            request.model,
            lambda left_out: _body(request, left_out).keys(),
            lambda left_out: self._post(_body(request, left_out), request.model),
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _post(self, body: dict[str, Any], model: str) -> Reply:
        started = time.monotonic()
        content = b""
        try:
            with self._http.stream("POST", f"{self._url}/chat/completions", content=json.dumps(body)) as response:
                for chunk in response.iter_bytes():
                    content += chunk
                    if time.monotonic() - started > self._timeout_s:
                        raise self._timeout()
                    if len(content) > REPLY_LIMIT_BYTES:
                        raise SendError(f"{self._url} answered more than {REPLY_LIMIT_BYTES >> 20} MiB.")
        except (httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout):
            raise self._timeout() from None
        except httpx.TransportError as error:
            reason = one_line(str(error)) or type(error).__name__
            raise SendError(f"{self._url} cannot be reached ({reason}).", is_passing=True) from None
        except (httpx.HTTPError, httpx.StreamError, RuntimeError) as error:
            # A client that is closed meanwhile says so with a RuntimeError.
            raise SendError(f"{self._url} gave no answer ({one_line(str(error))}).") from None
        if not response.is_success:
            raise self._refusal(response, content, model)
        return self._reply(content, model, time.monotonic() - started)

    def _timeout(self) -> SendError:
        advice = "Raise connection.timeout_s, or lower connection.concurrency."
        return SendError(f"{self._url} did not answer within {self._timeout_s:g} s. {advice}", "timeout")

    def _refusal(self, response: httpx.Response, content: bytes, model: str) -> SendError:
        status = response.status_code
        error = _read_error(content)
        text = error.text.replace(self._key, "…") if self._key else error.text
        said = f": {one_line(text)}." if text else "."
        where = f"{self._url} answered status {status}"
        if status in (401, 403):
            return SendError(f"{where}{said} Check the key in {self._key_variable}.")
        if status == 404:
            return SendError(f'{where} for model "{model}"{said} Check connection.url and connection.models.')
        if status in (400, 422):
            return RefusedRequestError(f"{where}{said}", f"{error.param} {error.text}")
        is_passing = (status in BUSY or status >= 500) and error.code != "insufficient_quota"
        return SendError(f"{where}{said}", is_passing=is_passing, retry_after_s=pause_s(response.headers))

    def _reply(self, content: bytes, model: str, latency_s: float) -> Reply:
        try:
            answer = json.loads(content)
            choice = answer["choices"][0]
            message = choice["message"]
            text, refusal = _text(message.get("content")), message.get("refusal")
            usage = answer.get("usage") or {}
            ending = choice.get("finish_reason")
            if not refusal and ending == "content_filter":
                refusal = "the content filter of the server stopped it"
            return Reply(
                text="" if refusal else text,
                model=str(answer.get("model") or model),
                prompt_tokens=int(usage.get("prompt_tokens") or 0),
                completion_tokens=int(usage.get("completion_tokens") or 0),
                cached_tokens=int((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0),
                latency_s=latency_s,
                refusal=str(refusal) if refusal else None,
                is_truncated=ending == "length",
            )
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            shown = one_line(content[:1000].decode(errors="replace"))
            raise SendError(f"{self._url} answered something that is no chat completion: {shown}.") from None


def _key(url: str, variable: str) -> str:
    if httpx.URL(url).userinfo:
        raise GraderError(
            "connection.url holds a user name or password, which would show in messages. Put the key into the "
            f"environment variable {variable}."
        )
    key = os.environ.get(variable, "").strip()
    if not key and not is_local(httpx.URL(url).host):
        raise GraderError(
            f"{url} wants a key, and {variable} is not set. Set it, or name another variable with "
            "connection.key_variable."
        )
    if not key.isascii() or not key.isprintable():
        raise GraderError(f"{variable} holds characters that no key has, such as a line break. Set it again.")
    return key


def _body(request: Request, left_out: frozenset[str]) -> dict[str, Any]:
    """The request as JSON without some settings. Source: OpenAI contract, chat completions."""
    is_held = request.schema is not None and "response_format" not in left_out
    body: dict[str, Any] = {
        "model": request.model,
        "messages": request.messages if is_held else request.told_messages(),
        **{name: value for name, value in request.settings.items() if name not in left_out},
    }
    body["max_completion_tokens" if "max_tokens" in left_out else "max_tokens"] = request.max_tokens
    if is_held:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": request.schema},
        }
    return body


def _text(content: Any) -> str:
    """The text of a message, whose content may come in parts."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part.get("text"), str))
    return content if isinstance(content, str) else ""


class _Error(NamedTuple):
    """An error body of a server."""

    text: str
    code: str = ""
    param: str = ""
    """The field of the request that it is about."""


def _read_error(content: bytes) -> _Error:
    """The error in OpenAI's envelope, or the beginning of a body that has another form."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return _Error(content[:1000].decode(errors="replace"))
    error = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return _Error(str(error))
    text = error.get("message") or error.get("detail") or json.dumps(error)
    return _Error(str(text), str(error.get("code") or ""), str(error.get("param") or ""))
