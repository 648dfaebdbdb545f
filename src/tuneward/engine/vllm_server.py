"""A vLLM server as a process of its own, from an environment of its own. Linux only."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tuneward.engine.vllm_client import VllmClient
from tuneward.errors import EngineError

STOP_TIMEOUT_S = 30.0
"""From the request to end until the whole process group is killed."""
WORKERS_TIMEOUT_S = 5.0
"""From the end of the server until what is left of its group is killed."""
POLL_S = 0.2
LOG_TAIL_LINES = 15

OUR_OWN = frozenset({"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"})
"""Variables that would make the server's Python import from this process's environment."""
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class VllmServer:
    """Starts the server; `wait_until_healthy` before use, `close` at the end.

    Args:
        command: words that start vLLM, as in a shell.
        arguments: of `vllm serve`, the model first; host and port are added.
        port: to listen on, on this machine only; None takes a free one.
        key: the server asks for it as a bearer token, since whoever may load adapters may load any file.
        log: file its output is appended to.

    Raises:
        EngineError: the command cannot be started.
    """

    def __init__(self, command: str, arguments: Sequence[str], *, port: int | None, key: str, log: Path):
        self._log = log
        port = port or _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.command = [*shlex.split(command), *arguments, "--host", "127.0.0.1", "--port", str(port)]
        try:
            with log.open("ab") as output:
                self._process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=_environment(os.environ, key),
                    start_new_session=True,  # Ctrl-C is ours; and a group of its own can be ended as one
                    preexec_fn=_end_with_parent,
                )
        except OSError as error:
            raise EngineError(
                f"rollout.command: {shlex.split(command)[0]} cannot be started ({error.strerror}). Install vLLM in an "
                "environment of its own and give the path, for example /opt/vllm/bin/vllm serve."
            ) from None

    def wait_until_healthy(self, client: VllmClient, timeout_s: float) -> None:
        """Return when the server is ready for requests.

        Raises:
            EngineError: it ended, or was not healthy in time; the text ends with the tail of its log.
        """
        deadline = time.monotonic() + timeout_s
        while not client.is_healthy():
            self.check()
            if time.monotonic() > deadline:
                raise EngineError(
                    f"vLLM was not healthy after {timeout_s:.0f} s (rollout.startup_timeout_s). {self._last_words()}"
                )
            time.sleep(POLL_S)

    def check(self) -> None:
        """Raise EngineError, with the tail of the log, when the process has ended."""
        code = self._process.poll()
        if code is not None:
            how = f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"
            raise EngineError(f"The vLLM server {how}. {self._last_words()}")

    def close(self) -> None:
        """End the process and everything it started; safe to call twice."""
        self._process.terminate()  # it ends its own workers, and they give back what they share
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=STOP_TIMEOUT_S)
        with contextlib.suppress(ProcessLookupError):  # when nothing of the group is left
            deadline = time.monotonic() + WORKERS_TIMEOUT_S
            while time.monotonic() < deadline:
                os.killpg(self._process.pid, 0)
                time.sleep(POLL_S)
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        tail = "\n".join(f"    {line[:300]}" for line in lines[-LOG_TAIL_LINES:])
        return f"{self._log} ends with\n{tail}" if tail else f"{self._log} is empty."


def _environment(environment: Mapping[str, str], key: str) -> dict[str, str]:
    kept = {name: value for name, value in environment.items() if name not in OUR_OWN}
    return kept | {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True", "VLLM_API_KEY": key}


def _end_with_parent() -> None:
    """In the child: be told to end when the trainer is killed, lest the GPU stays taken."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
