"""The engine of a run, by its configuration."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tuneward.config import Config
from tuneward.engine.engine import Engine
from tuneward.engine.planner import MOST_ROWS
from tuneward.engine.vllm_client import VllmClient
from tuneward.engine.vllm_engine import VllmEngine
from tuneward.engine.vllm_server import VllmServer
from tuneward.errors import ConfigError
from tuneward.models.chat import ChatTokenizer
from tuneward.rl.policy import Policy

LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Limits of the rank that vLLM can be started with."""
MEMORY = Path("/dev/shm")
"""A file system in memory, where there is one."""


@contextmanager
def rollout_engine(
    config: Config, policy: Policy, tokenizer: ChatTokenizer, log: Path, *, max_rows: int = MOST_ROWS
) -> Iterator[Engine]:
    """The engine that samples for a run; a server that had to be started ends with the block.

    Args:
        log: file for the output of a server.
        max_rows: completions decoded together at most, where this process samples.

    Raises:
        ConfigError: the adapter's rank is more than vLLM can hold.
        EngineError: the server cannot be started or does not fit.
    """
    if config.rollout.engine == "torch":
        yield Engine(policy.packed, tokenizer, max_rows=max_rows)
        return
    rollout = config.rollout
    context_tokens = config.data.max_prompt_length + config.training.max_completion_tokens
    with ExitStack() as stack:
        if rollout.url is not None:
            key = os.environ.get("VLLM_API_KEY")
            client = VllmClient(rollout.url, key=key, timeout_s=rollout.request_timeout_s)
        else:
            key = secrets.token_hex(16)
            arguments = serve_arguments(config, policy, tokenizer.folder, context_tokens)
            server = VllmServer(rollout.command, arguments, port=rollout.port, key=key, log=log)
            stack.callback(server.close)
            client = VllmClient(server.url, key=key, timeout_s=rollout.request_timeout_s, check=server.check)
            server.wait_until_healthy(client, rollout.startup_timeout_s)
        parent = rollout.adapter_folder or (MEMORY if os.access(MEMORY, os.W_OK) else None)
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="tuneward-adapter-", dir=parent))
        engine = VllmEngine(
            policy.model,
            policy.packed,
            tokenizer,
            client,
            base_names={config.model, str(tokenizer.folder)},
            context_tokens=context_tokens,
            concurrency=rollout.concurrency,
            adapter_folder=Path(folder).resolve(),
        )
        stack.callback(engine.close)
        yield engine


def serve_arguments(config: Config, policy: Policy, folder: Path, context_tokens: int) -> list[str]:
    """What `vllm serve` is given so that it samples from the policy and from nothing else. Raises ConfigError."""
    rank = policy.model.peft_config["default"].r
    limit = next((limit for limit in LORA_RANKS if limit >= rank), None)
    if limit is None:
        raise ConfigError(f"lora.r is {rank}, but vLLM holds adapters up to rank {LORA_RANKS[-1]}; lower it.")
    return [
        str(folder),
        *("--dtype", str(policy.packed.model.dtype).removeprefix("torch.")),
        *("--max-model-len", str(context_tokens)),
        *("--gpu-memory-utilization", str(config.rollout.gpu_memory_share)),
        *("--enable-lora", "--max-loras", "1", "--max-lora-rank", str(limit)),
        *("--logprobs-mode", "processed_logprobs"),  # after the temperature, as the policy's are
        *("--generation-config", "vllm"),  # no sampling defaults from the model's folder
        *("--uvicorn-log-level", "warning"),  # else a line for each completion
    ]
