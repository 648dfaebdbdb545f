"""Talking to a vLLM server, JSON over HTTP with retries for what passes by itself; and whether it is the right one."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any
from urllib.parse import urlsplit

from tuneward.errors import EngineError

OLDEST, FIRST_UNTESTED = (0, 32), (0, 34)
"""Versions of vLLM this is written for, from the first, below the second: 0.32.0 has sampled for it (CPU build, fp32);
what it uses of 0.33.0's interface is the same in the source."""

TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses worth another try; every request carries its own seed, so a repeated one samples the same."""
RETRY_WAITS_S = (0.5, 2.0, 8.0)
"""Pauses before the second, third and last try."""


class RefusedError(EngineError):
    """The server answered a request with an error that trying again will not change."""

    def __init__(self, path: str, status: int, text: str):
        super().__init__(f"vLLM refused {path} with status {status}: {text}.")
        self.status = status
        self.text = text


class VllmClient:
    """Calls one server; any number of threads may use it.

    Args:
        url: of the server, without a path such as `/v1`.
        key: sent as a bearer token; None sends none.
        timeout_s: limit of silence for one request.
        check: raises EngineError when there is no point in trying again, because the server has ended, say.
    """

    def __init__(self, url: str, *, key: str | None, timeout_s: float, check: Callable[[], None] = lambda: None):
        self.url = url.rstrip("/")
        self._parts = urlsplit(self.url)
        self._headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._timeout_s = timeout_s
        self._check = check

    def get(self, path: str) -> Any:
        """The answer as JSON. Raises as `post`."""
        return self._json(path, self._request("GET", path, None))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The answer as JSON.

        Raises:
            RefusedError: an error status that is not transient.
            EngineError: no answer, or a transient error status, in all tries; or not JSON.
        """
        return self._json(path, self._request("POST", path, body))

    def command(self, path: str, body: dict[str, Any]) -> None:
        """As `post`, for endpoints that answer in words."""
        self._request("POST", path, body)

    def is_healthy(self) -> bool:
        """One try, no error."""
        try:
            return self._once("GET", "/health", None)[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> str:
        for wait in (*RETRY_WAITS_S, None):
            try:
                status, text = self._once(method, path, body)
                if status == 200:
                    return text
                if status not in TRANSIENT:
                    raise RefusedError(path, status, _reason(text))
                problem = f"status {status}, {_reason(text)}"
            except (OSError, http.client.HTTPException) as error:
                problem = str(error) or type(error).__name__
            self._check()
            if wait is not None:
                time.sleep(wait)
        self._check()
        raise EngineError(
            f"The vLLM server at {self.url} does not answer {path} ({problem}, {len(RETRY_WAITS_S) + 1} tries). "
            "See its log; once it runs again, go on with `tuneward train --resume`."
        )

    def _once(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, str]:
        is_tls = self._parts.scheme == "https"
        kind = http.client.HTTPSConnection if is_tls else http.client.HTTPConnection
        connection = kind(self._parts.netloc, timeout=self._timeout_s)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, self._parts.path + path, payload, self._headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        finally:
            connection.close()

    def _json(self, path: str, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError:
            raise EngineError(f"{self.url}{path} answers no JSON; is it a vLLM server?") from None


def _reason(text: str) -> str:
    """The message in an error body, cut to a readable length."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        text = str(json.loads(text)["error"]["message"])
    return " ".join(text.split())[:300].rstrip(".")


def check_version(version: str, url: str) -> None:
    """Raise EngineError when a server's version is outside the tested range."""
    found = re.match(r"(\d+)\.(\d+)", version)
    if found is None or not OLDEST <= (int(found[1]), int(found[2])) < FIRST_UNTESTED:
        wanted = f"vllm>={_dotted(OLDEST)},<{_dotted(FIRST_UNTESTED)}"
        raise EngineError(
            f"The server at {url} runs vLLM {version}, which Tuneward is not tested with. "
            f'Install "{wanted}" in the server\'s environment.'
        )


def check_model(cards: Sequence[dict[str, Any]], names: Collection[str], context_tokens: int, url: str) -> None:
    """Raise EngineError when a server lists no base model of these names, or one with too short a context."""
    bases = [card for card in cards if card.get("parent") is None]
    found = next((card for card in bases if {card["id"], card.get("root")} & set(names)), None)
    if found is None:
        listed = ", ".join(str(card["id"]) for card in bases) or "no model"
        raise EngineError(
            f"The server at {url} serves {listed}, not {' or '.join(sorted(names))}. Start it with the model of the "
            "configuration; --served-model-name gives it the name that `model` has there."
        )
    context = found.get("max_model_len")
    if context is not None and context < context_tokens:
        raise EngineError(
            f"The server at {url} has a context of {context} tokens, but data.max_prompt_length + "
            f"training.max_completion_tokens is {context_tokens}. Start it with --max-model-len {context_tokens}."
        )


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
