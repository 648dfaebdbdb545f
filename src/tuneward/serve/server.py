"""A running server: an application on a socket, in a thread of its own."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path
from types import TracebackType

import uvicorn
from starlette.types import ASGIApp

from tuneward.errors import ConfigError
from tuneward.serve.protocol import Timeouts, protocol_with

GRACE_S = 20
"""How long requests under way may go on once the server is told to stop."""
STOPPING = "stopping"
"""What an application's lifespan yields under this name is called when the server begins to stop: streams without an
end of their own would be waited for otherwise."""
HEADER_BYTES = 64 * 1024
"""All headers of a request together."""


def bind(host: str, port: int) -> socket.socket:
    """A listening address; port 0 takes any free one. Raises ConfigError when it cannot be had."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # Said to be TCP: only then asyncio sends small packets at once, and answers do not wait 40 ms for their second.
        made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError as error:
        raise ConfigError(f"{host}:{port} cannot be listened on ({error.strerror}); choose another --port.") from None
    return made


def address_of(listener: socket.socket, *, is_tls: bool = False) -> str:
    """Its URL, without a path and a slash at the end."""
    host, port = listener.getsockname()[:2]
    return f"{'https' if is_tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def tls_context(certificate: Path, key: Path | None = None) -> ssl.SSLContext:
    """What TLS 1.2 and newer need.

    Args:
        certificate: PEM; the server's, and those between it and the root.
        key: PEM, without a password; None: it is in the same file.

    Raises:
        ConfigError: they cannot be read or do not fit together.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        # Never ask at a terminal: a server that starts by itself would wait for ever.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except OSError as error:  # ssl.SSLError is one
        reason = getattr(error, "reason", None) or error.strerror or str(error)
        raise ConfigError(
            f"{certificate}, {key or 'its key'}: no TLS certificate and key that fit ({reason})."
        ) from None
    return context


class Server:
    """Serves an application until it is stopped; a context manager.

    Args:
        app: the application.
        listener: from `bind`.
        tls: from `tls_context`; None: without encryption.
        timeouts: how long clients are waited for.
    """

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        *,
        tls: ssl.SSLContext | None = None,
        timeouts: Timeouts | None = None,
    ):
        self.url = address_of(listener, is_tls=tls is not None)
        """Without a path and a slash at the end."""
        timeouts = timeouts or Timeouts()
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="warning",
            access_log=False,
            http=protocol_with(timeouts),
            ws="none",
            h11_max_incomplete_event_size=HEADER_BYTES,
            proxy_headers=False,  # nothing here believes them
            server_header=False,
            timeout_keep_alive=timeouts.idle_s,
            timeout_graceful_shutdown=GRACE_S,
            ssl_context_factory=None if tls is None else lambda _config, _default: tls,
        )
        self._server = _Server(config)
        # Not in the main thread: there uvicorn would take over the signals, and send them again at its end.
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="http-server")

    def start(self) -> None:
        """Return when requests are answered. Raises ConfigError when the application does not start."""
        self._thread.start()
        while not self._server.is_up.wait(0.1):
            if not self._thread.is_alive():
                raise ConfigError("The server did not start; its log says why.")

    def stop(self) -> None:
        """Take no more requests, let those under way end, and return. Safe to call twice."""
        self._server.should_exit = True
        self._thread.join()

    def stop_at_once(self) -> None:
        """As `stop`, but cut off what is under way; returns immediately."""
        self._server.should_exit = self._server.force_exit = True

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config):
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.is_up.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        stopping = self.lifespan.state.get(STOPPING)
        if stopping is not None:
            stopping()
        await super().shutdown(sockets)
