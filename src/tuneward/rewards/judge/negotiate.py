"""Finding out which settings a model takes: what it refuses is left out, and not sent to it again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from threading import Lock

from tuneward.rewards.judge.client import Reply
from tuneward.rewards.judge.request import SendError

NOTHING: frozenset[str] = frozenset()


class RefusedRequestError(SendError):
    """The server refused the request as it is; without one of its settings it may be taken.

    Args:
        message: for the user.
        said: the server's own words, which may name the setting.
    """

    def __init__(self, message: str, said: str) -> None:
        super().__init__(message)
        self.said = said


class Negotiator:
    """Remembers per model what was refused; any number of threads may use it.

    Something is remembered only once a request without it was answered, so that a request which is wrong for another
    reason, a prompt that is too long, say, teaches nothing.

    Args:
        words: setting → words in a refusal that point to it, looked for in this order.
        schemas: settings that hold a model to a schema, in the order to give them up. Servers refuse these in words of
            their own, so until one was taken by a model, any refusal may be about it.
    """

    def __init__(self, words: Mapping[str, Collection[str]], schemas: Collection[str]) -> None:
        self._words = words
        self._schemas = schemas
        self._lock = Lock()
        self._refused: dict[str, frozenset[str]] = {}
        self._holding: set[str] = set()

    def send(
        self, model: str, used: Callable[[frozenset[str]], Collection[str]], send: Callable[[frozenset[str]], Reply]
    ) -> Reply:
        """The reply of `send`, called with the settings to leave out, until the model takes the rest.

        Args:
            used: settings that the request would have when the given ones are left out.

        Raises:
            SendError: of the last call.
        """
        with self._lock:
            refused = self._refused.get(model, NOTHING)
        while True:
            settings = used(refused)
            try:
                reply = send(refused)
            except RefusedRequestError as error:
                culprit = self._culprit(model, error.said.lower(), settings)
                if culprit is None:
                    raise
                refused |= {culprit}
                continue
            with self._lock:
                self._refused[model] = self._refused.get(model, NOTHING) | refused
                if any(name in settings for name in self._schemas):
                    self._holding.add(model)
            return reply

    def _culprit(self, model: str, text: str, settings: Collection[str]) -> str | None:
        for name, words in self._words.items():
            if name in settings and any(word in text for word in words):
                return name
        with self._lock:
            if model in self._holding:
                return None
        return next((name for name in self._schemas if name in settings), None)
