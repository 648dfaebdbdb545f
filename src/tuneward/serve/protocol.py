"""HTTP/1.1 with clocks: a client that sends its headers drop by drop, or does not read its answer, is hung up on.

How slowly a body may come is the application's affair (`tuneward.serve.bodies`), as it has words for the client.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

FLUSH_S = 0.2
"""A stopping server looks so often whether a connection's last bytes have left."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long the server waits for a client, in seconds."""

    headers_s: float = 20.0
    """From the connection, or the first byte of a further request, to the end of the headers."""
    idle_s: int = 30
    """Between two requests of a connection."""
    unread_s: float = 120.0
    """For the client to take what it was sent, before the next part is written or the connection closed."""


def protocol_with(timeouts: Timeouts) -> type[asyncio.Protocol]:
    """A protocol class for uvicorn."""

    class Protocol(_TimedProtocol):
        waits = timeouts

    return Protocol


class _TimedProtocol(H11Protocol):
    waits: Timeouts

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._header_clock: asyncio.TimerHandle | None = None
        self._unread_clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._header_clock = self.loop.call_later(self.waits.headers_s, transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:  # the headers are whole
            self._stop_header_clock()
        elif self._header_clock is None:
            self._header_clock = self.loop.call_later(self.waits.headers_s, self.transport.abort)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._watch_reader()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_unread_clock()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._watch_reader()

    def shutdown(self) -> None:
        super().shutdown()
        self._hang_up()

    def _hang_up(self) -> None:
        """Not wait for the client's half of TLS's goodbye, which an idle one does not say."""
        if not self.transport.is_closing():
            return
        if self.transport.get_write_buffer_size() == 0:
            self.transport.abort()
        else:
            self.loop.call_later(FLUSH_S, self._hang_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_header_clock()
        self._stop_unread_clock()
        super().connection_lost(exc)

    def _watch_reader(self) -> None:
        """Closing, too, waits for what is not sent yet."""
        if self._unread_clock is None:
            self._unread_clock = self.loop.call_later(self.waits.unread_s, self.transport.abort)

    def _stop_header_clock(self) -> None:
        if self._header_clock is not None:
            self._header_clock.cancel()
            self._header_clock = None

    def _stop_unread_clock(self) -> None:
        if self._unread_clock is not None:
            self._unread_clock.cancel()
            self._unread_clock = None
