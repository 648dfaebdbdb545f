"""A running server: an application on a socket, in a thread of its own."""

from __future__ import annotations

import socket
import threading
from types import TracebackType

import uvicorn
from starlette.types import ASGIApp

from tuneward.errors import ConfigError

GRACE_S = 20
"""How long requests under way may go on once the server is told to stop."""


def bind(host: str, port: int) -> socket.socket:
    """A listening address; port 0 takes any free one. Raises ConfigError when it cannot be had."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError as error:
        raise ConfigError(f"{host}:{port} cannot be listened on ({error.strerror}); choose another --port.") from None
    return made


def address_of(listener: socket.socket) -> str:
    """Its URL, without a path and a slash at the end."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server:
    """Serves an application until it is stopped; a context manager.

    Args:
        app: the application.
        listener: from `bind`.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket):
        self.url = address_of(listener)
        """Without a path and a slash at the end."""
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE_S)
        self._server = _Server(config)
        # Not in the main thread: there uvicorn would take over the signals, and send them again at its end.
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="http-server")

    def start(self) -> None:
        """Return when requests are answered."""
        self._thread.start()
        self._server.is_up.wait()

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
        self.is_up.set()
