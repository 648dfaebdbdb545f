"""The serving engine: one thread owns a model and serves all its requests together."""

from __future__ import annotations

import queue
import secrets
import threading
import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from tuneward.engine.forward import PackedModel
from tuneward.engine.serving.adapters import Adapter, AdapterSwitch
from tuneward.engine.serving.draw import Drawn, draw_rows
from tuneward.engine.serving.grammar import GrammarMaker
from tuneward.engine.serving.limits import ServingLimits
from tuneward.engine.serving.plan import ServingPlan, Span
from tuneward.engine.serving.pool import KeyValuePool
from tuneward.engine.serving.prefixes import PrefixStore
from tuneward.engine.serving.request import (
    ChoiceEnd,
    Delta,
    Done,
    Event,
    Failed,
    OnEvents,
    QueueFullError,
    RequestTooLongError,
    ServingRequest,
    TokenLogprob,
)
from tuneward.engine.serving.row import Row, Ticket
from tuneward.engine.serving.scheduler import Scheduler
from tuneward.engine.serving.text import TextStream
from tuneward.engine.serving.vocabulary import Vocabulary
from tuneward.errors import EngineError, NonFiniteError
from tuneward.models.chat import ChatTokenizer
from tuneward.types import FinishReason


class ServingEngine:
    """Serves requests for one base model and adapters on it.

    Args:
        model: the bare base model, loaded with the engine's attention.
        tokenizer: its chat tokenizer.
        limits: how much to take on.
    """

    def __init__(self, model: PackedModel, tokenizer: ChatTokenizer, limits: ServingLimits):
        self.limits = limits
        self.tokenizer = tokenizer
        self.grammars = GrammarMaker(tokenizer)
        """For `ServingRequest.grammar`."""
        self.base = model.model
        """The bare model that adapters are loaded for."""
        self._model = model
        self._switch = AdapterSwitch(model.model)
        self._vocabulary = Vocabulary(tokenizer)
        self._scheduler = Scheduler(
            KeyValuePool(limits.pool_tokens, limits.context),
            PrefixStore(limits.prefix_tokens),
            max_rows=limits.max_rows,
            pass_tokens=limits.pass_tokens,
        )
        self._arrivals: list[Row] = []
        self._forgotten: list[Adapter] = []
        self._changed = threading.Condition()
        self._is_closing = False
        self._row_seconds = 1.0
        self._threads = torch.get_num_threads()
        self._thread = threading.Thread(target=self._serve, name="serving-engine", daemon=True)
        self._thread.start()

    @property
    def rows_under_way(self) -> int:
        return len(self._scheduler.live)

    @property
    def rows_waiting(self) -> int:
        return len(self._scheduler.waiting) + len(self._arrivals)

    def submit(self, request: ServingRequest, on_events: OnEvents) -> Ticket:
        """Queue a request.

        Args:
            request: what to answer.
            on_events: gets the events as they come; the last one is `Done` or `Failed`.

        Returns:
            A ticket, by which the request can be cancelled.

        Raises:
            QueueFullError: too many answers wait already.
            RequestTooLongError: the prompt leaves no room for an answer.
            EngineError: the engine is closing.
        """
        room = self.limits.context - len(request.prompt)
        if room < 1 or not request.prompt:
            raise RequestTooLongError(
                f"The prompt has {len(request.prompt)} tokens; this model takes 1 to {self.limits.context - 1}."
            )
        seed = secrets.randbits(31) if request.seed is None else request.seed
        ticket = Ticket(request, on_events, self._wake)
        limit = room if request.max_tokens is None else min(request.max_tokens, room)
        rows = [
            Row(ticket, index, seed=seed, limit=limit, text=TextStream(self.tokenizer.decode, request.stop))
            for index in range(request.n)
        ]
        with self._changed:
            if self._is_closing:
                raise EngineError("The server is stopping.")
            waiting = self.rows_waiting
            if waiting >= self.limits.max_waiting:
                seconds = self._row_seconds * waiting / self.limits.max_rows
                raise QueueFullError(waiting, retry_after_s=round(min(max(1.0, seconds), 60.0)))
            self._arrivals += rows
            self._changed.notify()
        return ticket

    def stream(self, request: ServingRequest) -> Iterator[Event]:
        """Events of a request as they come; leaving the loop early cancels it. Raises what `submit` raises."""
        events: queue.SimpleQueue[list[Event]] = queue.SimpleQueue()
        ticket = self.submit(request, events.put)
        try:
            while True:
                for event in events.get():
                    yield event
                    if isinstance(event, Done | Failed):
                        return
        finally:
            ticket.cancel()

    def forget(self, adapter: Adapter) -> None:
        """No further request will have this adapter, so nothing of it need be kept."""
        with self._changed:
            self._forgotten.append(adapter)
            self._changed.notify()

    def close(self) -> None:
        """Stop; requests under way fail. Safe to call twice."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify()

    def _serve(self) -> None:
        torch.set_num_threads(self._threads)  # a new thread would start with the default
        with torch.inference_mode(), self._model.merged(), self._switch.installed():
            while self._wait_for_work():
                try:
                    self._step()
                except Exception as error:  # whatever it is, it must not end the service
                    self._fail(error)
        self._fail(EngineError("The server is stopping."))

    def _wait_for_work(self) -> bool:
        """Take in what has arrived; False when the engine is to end."""
        with self._changed:
            while not (self._arrivals or self._scheduler.has_work or self._is_closing):
                self._drop_forgotten()
                self._changed.wait()
            self._drop_forgotten()
            self._scheduler.waiting.extend(self._arrivals)
            self._arrivals = []
            return not self._is_closing

    def _drop_forgotten(self) -> None:
        if self._forgotten:
            self._switch.use(())  # it remembers the last pass
        while self._forgotten:
            self._scheduler.forget(self._forgotten.pop())

    def _step(self) -> None:
        """One pass: everyone under way gets at most one token."""
        self._scheduler.remove(lambda row: row.ticket.is_cancelled)
        chosen = self._scheduler.next_pass()
        if not chosen:
            return
        logits = self._forward(chosen)
        ready = [row for row, count in chosen if row.pending == count]
        for row, count in chosen:
            row.cached += count
        for row, drawn in zip(ready, draw_rows(logits, [row.draw() for row in ready]), strict=True):
            if drawn is None:
                self._fail(NonFiniteError("The model produced NaN or infinite logits."), row.ticket)
            else:
                self._take(row, drawn)
        for ticket in {id(row.ticket): row.ticket for row in ready}.values():
            ticket.hand_out()

    def _forward(self, chosen: list[tuple[Row, int]]) -> Tensor:
        """[ready rows, vocabulary] logits of the rows that have nothing left to feed."""
        spans = [Span(row, row.cached, count) for row, count in chosen]
        tokens = np.concatenate([row.next_tokens(count) for row, count in chosen])
        positions = np.concatenate([np.arange(span.start, span.start + span.count) for span in spans])
        ends = np.cumsum([count for _, count in chosen]) - 1
        is_ready = np.array([row.pending == count for row, count in chosen])
        self._switch.use([(row.adapter, count) for row, count in chosen])
        plan = ServingPlan(self._scheduler.pool, spans, self._model.device)
        # A model asked for no logits at all would give all of them.
        wanted = torch.from_numpy(ends[is_ready] if is_ready.any() else ends[:1]).to(self._model.device)
        return self._model.logits(tokens, positions, plan, wanted)[: int(is_ready.sum())]

    def _take(self, row: Row, drawn: Drawn) -> None:
        """Add a token to an answer, and tell what can be told."""
        ticket = row.ticket
        if ticket.unfinished == 0:  # its request has just failed
            return
        row.answer.append(drawn.token)
        ticket.completion_tokens += 1
        if row.guide is not None:
            row.guide.take(drawn.token)
        reason = None
        if drawn.token in self.tokenizer.stop_ids:
            reason = FinishReason.STOP
        else:
            text, logprobs = row.text.push(drawn.token, self._logprob(drawn))
            self._tell(row, text, logprobs)
            if row.text.is_stopped or (row.guide is not None and row.guide.is_complete):
                reason = FinishReason.STOP
            elif len(row.answer) == row.limit:
                reason = FinishReason.LENGTH
        if reason is None:
            return
        self._tell(row, *row.text.finish())
        ticket.events.append(ChoiceEnd(row.index, reason, row.text.stopped_by))
        ticket.unfinished -= 1
        if ticket.unfinished == 0:
            ticket.events.append(ticket.done())
        self._scheduler.end(row)
        self._row_seconds += 0.1 * (time.monotonic() - row.admitted_s - self._row_seconds)

    def _tell(self, row: Row, text: str, logprobs: tuple[TokenLogprob, ...]) -> None:
        if text or logprobs:
            row.ticket.events.append(Delta(row.index, text, logprobs))

    def _logprob(self, drawn: Drawn) -> TokenLogprob | None:
        if drawn.logprob is None:
            return None
        top = tuple(self._token(token, logprob) for token, logprob in drawn.top)
        return self._token(drawn.token, drawn.logprob, top)

    def _token(self, token: int, logprob: float, top: tuple[TokenLogprob, ...] = ()) -> TokenLogprob:
        data = self._vocabulary.data(token)
        return TokenLogprob(data.decode(errors="replace"), data, logprob, top)

    def _fail(self, error: Exception, only: Ticket | None = None) -> None:
        """Give up one request, or all there are."""
        rows = [row for row in (*self._scheduler.live, *self._scheduler.waiting) if only is None or row.ticket is only]
        tickets = {id(row.ticket): row.ticket for row in rows}
        self._scheduler.remove(lambda row: id(row.ticket) in tickets)
        for ticket in tickets.values():
            ticket.unfinished = 0
            ticket.events.append(Failed(error))
            ticket.hand_out()
