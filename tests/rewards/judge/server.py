"""A real HTTP server whose answers a test scripts; it speaks the wire formats of judge models."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WAIT_S = 20.0
"""Longest wait for a condition that a test needs."""


@dataclass(frozen=True)
class Request:
    """What came in."""

    number: int
    """From 1, in order of arrival."""
    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    def text(self, role: str = "user") -> str:
        """The content of the first message of a role."""
        return next(message["content"] for message in self.body["messages"] if message["role"] == role)


@dataclass(frozen=True)
class Answer:
    """What goes out."""

    body: Any = None
    """JSON, bytes as they are, or an iterator over bytes that are sent one by one."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Script = Callable[[Request], Answer]


def chat(text: str | None, model: str = "judge-1", ending: str = "stop", **message: Any) -> Answer:
    """A chat completion with this text."""
    choice = {"message": {"role": "assistant", "content": text, **message}, "finish_reason": ending}
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 3}}
    return Answer({"model": model, "choices": [choice], "usage": usage})


def verdict(score: Any, reasoning: str = "because", **criteria: Any) -> Answer:
    """A judge's verdict as a chat completion."""
    return chat(json.dumps({"reasoning": reasoning, "criteria": criteria, "score": score}))


def quoted(request: Request, name: str = "response") -> str:
    """What a judge that keeps to the rules takes for the quoted text of that name."""
    text = request.text()
    found = re.search(rf"<<<QUOTE {name} ([0-9a-f]+)>>>\n(.*?)\n<<<UNQUOTE {name} \1>>>", text, re.DOTALL)
    assert found, f"no quote of {name} in {text}"
    return found[2]


def error(status: int, message: str, **headers: str) -> Answer:
    """An error in OpenAI's envelope; `_` in header names stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer({"error": {"message": message, "type": "x", "code": None}}, status, named)


class ScriptedServer:
    """Answers by `script` on a free port of this machine; counts what is in flight."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[Request] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.changed = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.serve(self, body)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 256

            def handle_error(self, *_: object) -> None:
                pass  # A script that raises ends the connection without an answer.

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.root = f"http://127.0.0.1:{self._server.server_port}"
        self.url = f"{self.root}/v1"

    def serve(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        with self.changed:
            headers = {name.lower(): value for name, value in handler.headers.items()}
            request = Request(len(self.requests) + 1, handler.path, headers, body)
            self.requests.append(request)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            self.changed.notify_all()
        try:
            answer = self.script(request)
        finally:
            with self.changed:
                self.in_flight -= 1
                self.changed.notify_all()
        body = answer.body
        content = body if isinstance(body, bytes | Iterator) else json.dumps(body).encode()
        try:
            handler.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                handler.send_header(name, value)
            if isinstance(content, bytes):
                handler.send_header("Content-Length", str(len(content)))
                content = iter([content])
            else:
                handler.close_connection = True
            handler.end_headers()
            for chunk in content:
                handler.wfile.write(chunk)
        except OSError:  # The client has gone; that is what some tests are about.
            handler.close_connection = True

    def wait(self, condition: Callable[[], bool]) -> bool:
        """Wait until a condition over this server's counts holds; False when it does not in time."""
        with self.changed:
            return self.changed.wait_for(condition, WAIT_S)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
