"""A server that speaks the dialect of vLLM 0.32 and samples with our own sampler; also a program, `… serve MODEL …`.

It takes exactly the fields and options that vLLM knows and this project sends, and refuses what vLLM refuses, with the
statuses and texts that vLLM 0.32.0 answers. Adapters are read from their folders through peft.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tuneward.engine.attention import ATTENTION
from tuneward.engine.forward import PackedModel
from tuneward.engine.sampler import SamplingParams, sample_tokens
from tuneward.errors import NonFiniteError
from tuneward.models.load import load_adapter, load_base

SENT = {
    "model", "prompt", "seed", "max_tokens", "temperature", "top_p", "top_k", "min_p", "repetition_penalty",
    "presence_penalty", "frequency_penalty", "stop_token_ids", "logprobs", "return_token_ids",
}  # fmt: skip
Answer = tuple[int, Any]
Mangle = Callable[[dict[str, Any]], None]


class StandIn(ThreadingHTTPServer):
    """The server; `requests` and the other public attributes are for tests to look at and to change."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, model: Path, *, port: int = 0, key: str | None = None, context: int = 256, room: int = 1):
        super().__init__(("127.0.0.1", port), _Handler)
        self.model, self.key, self.context, self.room = model, key, context, room
        self.version = "0.32.0"
        self.name = str(model)
        self.allows_loading = True
        self.adapters: dict[str, tuple[str, PackedModel]] = {}
        self.base = PackedModel(load_base(model, attention=ATTENTION))
        self.requests: list[tuple[str, Any]] = []
        self.failures: list[int] = []
        """Statuses that the next completions are answered with."""
        self.before_sampling: Callable[[dict[str, Any]], None] = lambda _: None
        self.mangle: Mangle = lambda _: None
        """Changes the one choice of an answer."""
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def sent(self, path: str) -> list[Any]:
        return [body for other, body in self.requests if other == path]

    def answer(self, method: str, path: str, body: Any) -> Answer:
        self.requests.append((path, body))
        match method, path:
            case "GET", "/health":
                return 200, None
            case "GET", "/version":
                return 200, {"version": self.version}
            case "GET", "/v1/models":
                base = {"id": self.name, "root": str(self.model), "parent": None, "max_model_len": self.context}
                loaded = [
                    {"id": name, "root": folder, "parent": self.name, "max_model_len": None}
                    for name, (folder, _) in self.adapters.items()
                ]
                return 200, {"object": "list", "data": [base, *loaded]}
            case "POST", "/v1/load_lora_adapter" if self.allows_loading:
                return self._load(**body)
            case "POST", "/v1/unload_lora_adapter" if self.allows_loading:
                return self._unload(**body)
            case "POST", "/v1/completions":
                return self._complete(body)
        return 404, _error(404, "Not Found")

    def _load(self, lora_name: str, lora_path: str) -> Answer:
        if lora_name in self.adapters:
            return 400, _error(400, f"The lora adapter '{lora_name}' has already been loaded.")
        if not Path(lora_path, "adapter_config.json").is_file():
            return 404, _error(404, f"Loading lora {lora_name} failed: No adapter found for {lora_path}")
        if len(self.adapters) == self.room:
            self.adapters.pop(next(iter(self.adapters)))
        policy = PackedModel(load_adapter(load_base(self.model, attention=ATTENTION), Path(lora_path)))
        self.adapters[lora_name] = (lora_path, policy)
        return 200, f"Success: LoRA adapter '{lora_name}' added successfully."

    def _unload(self, lora_name: str) -> Answer:
        if lora_name not in self.adapters:
            return 404, _error(404, f"The lora adapter '{lora_name}' cannot be found.")
        del self.adapters[lora_name]
        return 200, f"Success: LoRA adapter '{lora_name}' removed successfully."

    def _complete(self, body: dict[str, Any]) -> Answer:
        self.before_sampling(body)
        with self._lock:
            if self.failures:
                return self.failures[0], _error(self.failures.pop(0), "out of order")
            if set(body) != SENT or not all(isinstance(token, int) for token in body["prompt"]):
                return 400, _error(400, f"fields {sorted(set(body) ^ SENT)}")
            if not -(2**63) <= body["seed"] < 2**63 or body["logprobs"] < -1:
                return 400, _error(400, "seed or logprobs out of range")
            if any(body[name] for name in ("top_k", "min_p", "presence_penalty", "frequency_penalty")):
                return 400, _error(400, "the stand-in samples plainly")
            if body["model"] != self.name and body["model"] not in self.adapters:
                return 404, _error(404, f"The model `{body['model']}` does not exist.")
            policy = self.base if body["model"] == self.name else self.adapters[body["model"]][1]
            limit = min(body["max_tokens"], self.context - len(body["prompt"]))
            params = SamplingParams(limit, temperature=body["temperature"], top_p=body["top_p"])
            stops = frozenset(body["stop_token_ids"])
            try:
                (sample,) = sample_tokens(policy, [body["prompt"]], [0], [body["seed"]], stops, params)
            except NonFiniteError:
                return 400, _error(400, "Out of range float values are not JSON compliant.")
        tokens = [f"<{token}>" for token in sample.token_ids]
        choice = {
            "index": 0,
            "text": "".join(tokens),  # whoever reads this instead of the token ids is found out
            "logprobs": {"token_logprobs": sample.logprobs, "tokens": tokens},
            "finish_reason": str(sample.finish_reason),
            "token_ids": sample.token_ids,
            "prompt_token_ids": body["prompt"],
        }
        self.mangle(choice)
        return 200, {"object": "text_completion", "model": body["model"], "choices": [choice]}


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_GET(self) -> None:
        self._answer("GET", None)

    def do_POST(self) -> None:
        self._answer("POST", json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, method: str, body: Any) -> None:
        key = self.server.key
        if key and self.path.startswith("/v1") and self.headers.get("Authorization") != f"Bearer {key}":
            status, content = 401, {"error": "Unauthorized"}
        else:
            status, content = self.server.answer(method, self.path, body)
        payload = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what was asked is in `requests`."""


def _error(status: int, message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "Error", "param": None, "code": status}}


@contextmanager
def running(server: StandIn) -> Iterator[StandIn]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def main() -> None:
    """As `vllm serve`, with the options this project gives it and no others."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--die-at", type=int, help="end without a word at this completion")
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("model", type=Path)
    parser.add_argument("--host", choices=["127.0.0.1"])
    parser.add_argument("--port", type=int)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], required=True)
    parser.add_argument("--max-model-len", type=int, required=True)
    parser.add_argument("--gpu-memory-utilization", type=float)
    parser.add_argument("--enable-lora", action="store_true")
    parser.add_argument("--max-loras", type=int, default=1)
    parser.add_argument("--max-lora-rank", type=int, choices=[1, 8, 16, 32, 64, 128, 256, 320, 512], default=16)
    parser.add_argument("--logprobs-mode", choices=["processed_logprobs"], required=True)
    parser.add_argument("--generation-config", choices=["vllm"], required=True)
    parser.add_argument("--uvicorn-log-level")
    options = parser.parse_args()
    print("environment:", *sorted({"PYTHONPATH", "VIRTUAL_ENV"} & set(os.environ)), flush=True)
    server = StandIn(
        options.model,
        port=options.port,
        key=os.environ.get("VLLM_API_KEY"),
        context=options.max_model_len,
        room=options.max_loras,
    )
    allowed = os.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "0").strip().lower() in ("1", "true")
    server.allows_loading = options.enable_lora and allowed

    def die(_: dict[str, Any]) -> None:
        if options.die_at is not None and len(server.sent("/v1/completions")) >= options.die_at:
            print("EngineCore died: out of memory", flush=True)
            os._exit(9)

    server.before_sampling = die
    print("serving", options.model, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
