"""One answer under way, and the request it belongs to."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tuneward.engine.draw import sample_seed
from tuneward.engine.serving.draw import RowDraw
from tuneward.engine.serving.prefixes import as_array
from tuneward.engine.serving.request import Done, Event, OnEvents, ServingRequest
from tuneward.engine.serving.text import TextStream


class Ticket:
    """A submitted request."""

    def __init__(self, request: ServingRequest, on_events: OnEvents, wake: Callable[[], None]):
        self.request = request
        self.prompt_array: NDArray[np.int64] = as_array(request.prompt)
        self.events: list[Event] = []
        """Of this pass, not handed out yet."""
        self.unfinished = request.n
        self.completion_tokens = 0
        self.cached_tokens = 0
        self._on_events = on_events
        self._wake = wake
        self._cancelled = threading.Event()

    @property
    def is_cancelled(self) -> bool:
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Nobody wants the answer any more: from the next pass on its slots are free. No event follows for sure."""
        self._cancelled.set()
        self._wake()

    def done(self) -> Done:
        return Done(len(self.request.prompt), self.completion_tokens, self.cached_tokens)

    def hand_out(self) -> None:
        """Pass on what has happened."""
        if self.events and not self.is_cancelled:
            self._on_events(self.events)
        self.events = []


class Row:
    """One answer of a request.

    Args:
        ticket: the request.
        index: number of the answer.
        seed: the request's.
        limit: most tokens of the answer.
        text: of the answer.
    """

    def __init__(self, ticket: Ticket, index: int, *, seed: int, limit: int, text: TextStream):
        self.ticket = ticket
        self.index = index
        self.adapter = ticket.request.adapter
        self.limit = limit
        self.text = text
        self.answer: list[int] = []
        self.guide = ticket.request.grammar.guide() if ticket.request.grammar is not None else None
        self.cached = 0
        """Tokens, from the first, whose keys and values are in the pool."""
        self.admitted_s = 0.0
        """When its computation began, by the monotonic clock."""
        self._seed = sample_seed(seed, 0, "serve", index)

    @property
    def length(self) -> int:
        """Tokens of prompt and answer."""
        return len(self.ticket.request.prompt) + len(self.answer)

    @property
    def pending(self) -> int:
        """Tokens to feed before the next one can be drawn: one, unless the prompt is still being read."""
        return self.length - self.cached

    def tokens(self) -> NDArray[np.int64]:
        """[length] prompt and answer."""
        return np.concatenate([self.ticket.prompt_array, as_array(self.answer)])

    def next_tokens(self, count: int) -> NDArray[np.int64]:
        """[count] tokens to feed next."""
        first = self.cached - len(self.ticket.request.prompt)
        if first >= 0:
            return as_array(self.answer[first : first + count])
        return self.tokens()[self.cached : self.cached + count]

    def draw(self) -> RowDraw:
        """How the next token is drawn: by seed and place alone, so company and interruptions change nothing."""
        request = self.ticket.request
        return RowDraw(
            seed=self._seed,
            position=len(self.answer),
            temperature=request.temperature,
            top_p=request.top_p,
            top_k=request.top_k,
            top_logprobs=request.top_logprobs,
            bias=request.logit_bias,
            frequency_penalty=request.frequency_penalty,
            presence_penalty=request.presence_penalty,
            answer=self.answer,
            guide=self.guide,
            left=self.limit - len(self.answer),
        )
