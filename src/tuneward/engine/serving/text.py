"""From tokens to text that can be shown at once: whole characters only, and nothing of a stop string."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tuneward.engine.serving.request import TokenLogprob

REPLACEMENT = "\ufffd"
LONGEST_CHARACTER = 3
"""Replacement characters at the end that may yet become a character: UTF-8 takes at most four bytes."""


class TextStream:
    """The text of one answer as it grows.

    Args:
        decode: tokens → text, for any stretch of an answer.
        stop: texts that end the answer.
    """

    def __init__(self, decode: Callable[[list[int]], str], stop: Sequence[str] = ()):
        self._decode = decode
        self._stop = [text for text in stop if text]
        self._context: list[int] = []
        """Tokens shown before, decoded along with the next ones because decoders treat a beginning differently."""
        self._pending: list[int] = []
        """Tokens since the last whole character."""
        self._shown_of_pending = 0
        self._held = ""
        """Text that may be the beginning of a stop string."""
        self._released = 0
        """Characters given out."""
        self._logprobs: list[tuple[int, TokenLogprob]] = []
        """(where in the text the token begins, log-prob) of tokens not given out yet."""
        self.stopped_by: str | None = None
        """A stop string that was found; it and what follows is never given out."""

    @property
    def is_stopped(self) -> bool:
        return self.stopped_by is not None

    def push(self, token: int, logprob: TokenLogprob | None = None) -> tuple[str, tuple[TokenLogprob, ...]]:
        """Add a token; returns the text that is certain now, and the log-probs of tokens that begin within it."""
        if logprob is not None:
            self._logprobs.append((self._released + len(self._held), logprob))
        self._pending.append(token)
        text = self._pending_text()
        unsure = min(len(text) - len(text.rstrip(REPLACEMENT)), LONGEST_CHARACTER)
        fresh = text[self._shown_of_pending : len(text) - unsure]
        self._shown_of_pending += len(fresh)
        if not unsure and text:
            self._context, self._pending, self._shown_of_pending = self._pending, [], 0
        return self._release(self._held + fresh, is_last=False)

    def finish(self) -> tuple[str, tuple[TokenLogprob, ...]]:
        """The rest, when no token follows; an unfinished character becomes a replacement character."""
        if self.is_stopped:
            return "", ()
        return self._release(self._held + self._pending_text()[self._shown_of_pending :], is_last=True)

    def _pending_text(self) -> str:
        if not self._context:
            return self._decode(self._pending)
        before = self._decode(self._context)
        return self._decode([*self._context, *self._pending])[len(before) :]

    def _release(self, text: str, *, is_last: bool) -> tuple[str, tuple[TokenLogprob, ...]]:
        found = [(at, stop) for at, stop in ((text.find(stop), stop) for stop in self._stop) if at >= 0]
        if found:
            certain, self.stopped_by = min(found)
            self._held = ""
        elif is_last:
            certain = len(text)
        else:
            certain = len(text) - max((_overlap(text, stop) for stop in self._stop), default=0)
            self._held = text[certain:]
        self._released += certain
        ready = [entry for at, entry in self._logprobs if at < self._released or (is_last and not found)]
        self._logprobs = [] if self.is_stopped else self._logprobs[len(ready) :]
        return text[:certain], tuple(ready)


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of a text that begins a stop string."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
