"""The serving engine: each request gets what it would get alone, from its own adapter, whatever else goes on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.serving import LIMITS, greedy, save_adapter, start_engine

from tuneward.engine.serving.adapters import load_adapter
from tuneward.engine.serving.engine import ServingEngine
from tuneward.engine.serving.request import (
    ChoiceEnd,
    Delta,
    Done,
    Event,
    Failed,
    QueueFullError,
    RequestTooLongError,
    ServingRequest,
)
from tuneward.errors import EngineError, ModelError, NonFiniteError
from tuneward.types import FinishReason

PROMPTS = [tuple(range(20, 27)), tuple(range(20, 60)), (99,), tuple(range(30, 150))]
LENGTH = 10


@pytest.fixture
def engine(tiny_chat_model: Path) -> Iterator[ServingEngine]:
    made = start_engine(tiny_chat_model)
    yield made
    made.close()


@pytest.fixture(scope="module")
def adapters(tiny_chat_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return [save_adapter(folder / str(seed), tiny_chat_model, seed=seed) for seed in range(3)]


class Listener:
    """Collects a request's events."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.is_over = threading.Event()
        self.has_begun = threading.Event()

    def __call__(self, events: list[Event]) -> None:
        self.events += events
        self.has_begun.set()
        if isinstance(events[-1], Done | Failed):
            self.is_over.set()

    def text(self, choice: int = 0) -> str:
        assert self.is_over.wait(60)
        assert isinstance(self.events[-1], Done), self.events[-1]
        return "".join(event.text for event in self.events if isinstance(event, Delta) and event.choice == choice)


def ask_all(engine: ServingEngine, requests: list[ServingRequest]) -> list[str]:
    """Submitted together, answered together."""
    listeners = [Listener() for _ in requests]
    for request, listener in zip(requests, listeners, strict=True):
        engine.submit(request, listener)
    return [listener.text() for listener in listeners]


def alone(engine: ServingEngine, request: ServingRequest) -> str:
    return "".join(event.text for event in engine.stream(request) if isinstance(event, Delta))


def test_every_answer_is_its_own_adapters_while_all_are_used_at_once(
    engine: ServingEngine, adapters: list[Path], tiny_chat_model: Path
) -> None:
    folders = [None, *adapters]
    loaded = [None, *(load_adapter(engine.base, folder) for folder in adapters)]
    expected = {
        (number, prompt): engine.tokenizer.decode(greedy(tiny_chat_model, folder, prompt, LENGTH))
        for number, folder in enumerate(folders)
        for prompt in PROMPTS
    }
    assert len({expected[number, PROMPTS[0]] for number in range(4)}) == 4  # the adapters differ visibly
    keys = list(expected) * 3
    requests = [ServingRequest(prompt, LENGTH, temperature=0, adapter=loaded[number]) for number, prompt in keys]
    assert ask_all(engine, requests) == [expected[key] for key in keys]


def test_a_seeded_answer_is_the_same_alone_in_company_and_when_it_loses_its_place(
    engine: ServingEngine, tiny_chat_model: Path
) -> None:
    requests = [
        ServingRequest(prompt, 40, temperature=0.5 + seed / 4, top_p=0.9 if seed % 2 else 1.0, seed=seed)
        for seed in range(3)
        for prompt in PROMPTS
    ]
    expected = [alone(engine, request) for request in requests]
    assert len(set(expected)) > len(PROMPTS)
    assert ask_all(engine, requests) == expected
    # So little room that rows must give up their places and start again.
    narrow = start_engine(tiny_chat_model, replace(LIMITS, pool_tokens=320, prefix_tokens=0))
    try:
        assert ask_all(narrow, requests) == expected
    finally:
        narrow.close()


def test_several_answers_of_one_prompt_differ_and_read_it_once(engine: ServingEngine) -> None:
    listener = Listener()
    engine.submit(ServingRequest(PROMPTS[3], 20, n=5, seed=1), listener)
    texts = [listener.text(choice) for choice in range(5)]
    assert len(set(texts)) == 5
    assert sorted(event.choice for event in listener.events if isinstance(event, ChoiceEnd)) == list(range(5))
    done = listener.events[-1]
    assert isinstance(done, Done)
    assert (done.prompt_tokens, done.cached_tokens) == (120, 0)
    assert 5 <= done.completion_tokens <= 100

    again = Listener()
    engine.submit(ServingRequest(PROMPTS[3], 1), again)
    again.text()
    assert again.events[-1].cached_tokens == 119


def test_an_answer_ends_where_its_limit_the_context_or_a_stop_string_says(engine: ServingEngine) -> None:
    whole = alone(engine, ServingRequest(PROMPTS[0], 30, temperature=0))
    stop = whole[5:8]
    for request, text, stopped_by in (
        (ServingRequest(PROMPTS[0], 30, temperature=0, stop=("never", stop)), whole[: whole.find(stop)], stop),
        (ServingRequest(PROMPTS[0], 30, temperature=0, logit_bias={2: 100}), "", None),
    ):
        listener = Listener()
        engine.submit(request, listener)
        assert listener.text() == text
        assert ChoiceEnd(0, FinishReason.STOP, stopped_by) in listener.events
    for request, tokens in ((ServingRequest(PROMPTS[0], 7), 7), (ServingRequest(tuple(range(3, 253))), 6)):
        listener = Listener()
        engine.submit(replace(request, logit_bias={2: -100}), listener)
        listener.text()
        assert listener.events[-1].completion_tokens == tokens
        assert ChoiceEnd(0, FinishReason.LENGTH) in listener.events


def test_logprobs_are_those_of_the_library(engine: ServingEngine, tiny_chat_model: Path) -> None:
    listener = Listener()
    engine.submit(
        ServingRequest(PROMPTS[1], 6, temperature=0.7, seed=3, top_logprobs=2, logit_bias={2: -100}), listener
    )
    listener.text()
    shown = [entry for event in listener.events if isinstance(event, Delta) for entry in event.logprobs]
    assert len(shown) == 6
    ids = [next(i for i in range(3, 259) if engine._vocabulary.data(i) == entry.data) for entry in shown]
    from tuneward.models.load import load_base

    with torch.no_grad():
        logits = load_base(tiny_chat_model)(input_ids=torch.tensor([[*PROMPTS[1], *ids]])).logits[0, 39:-1]
    logits[:, 2] -= 100
    expected = logits.log_softmax(-1)
    torch.testing.assert_close(
        torch.tensor([entry.logprob for entry in shown]), expected[range(6), ids], atol=1e-4, rtol=0
    )
    best = [[other.logprob for other in entry.top] for entry in shown]
    torch.testing.assert_close(torch.tensor(best), expected.topk(2).values, atol=1e-4, rtol=0)


def test_penalties_keep_tokens_from_coming_again(engine: ServingEngine) -> None:
    request = ServingRequest(PROMPTS[0], 30, temperature=0, top_logprobs=0, logit_bias={2: -100})
    tokens = {}
    for penalty in (0.0, 2.0):
        listener = Listener()
        engine.submit(replace(request, presence_penalty=50 * penalty), listener)
        listener.text()
        tokens[penalty] = [e.data for event in listener.events if isinstance(event, Delta) for e in event.logprobs]
    assert len(set(tokens[0.0])) < 30 == len(set(tokens[2.0]))


def hold(engine: ServingEngine, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Stop the engine before its next pass until the event is set."""
    gate, forward = threading.Event(), engine._forward
    monkeypatch.setattr(engine, "_forward", lambda chosen: gate.wait(60) and forward(chosen))
    return gate


def test_a_full_queue_refuses_and_a_cancelled_request_makes_room(
    tiny_chat_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start_engine(tiny_chat_model, replace(LIMITS, max_rows=1, max_waiting=2))
    try:
        endless = ServingRequest(PROMPTS[0], 200, logit_bias={2: -100})
        first, second, third = Listener(), Listener(), Listener()
        ticket = engine.submit(endless, first)
        assert first.has_begun.wait(60)
        gate = hold(engine, monkeypatch)
        waiting = engine.submit(endless, second)
        engine.submit(replace(endless, max_tokens=1), third)
        with pytest.raises(QueueFullError, match="2 requests wait") as refused:
            engine.submit(endless, Listener())
        assert 1 <= refused.value.retry_after_s <= 60
        ticket.cancel()
        waiting.cancel()
        gate.set()
        assert third.text()
        assert not first.is_over.is_set()
        assert not second.events
        assert (engine.rows_under_way, engine.rows_waiting) == (0, 0)
    finally:
        engine.close()


def test_requests_that_cannot_be_answered_are_refused_at_once(engine: ServingEngine) -> None:
    with pytest.raises(RequestTooLongError, match="256 tokens; this model takes 1 to 255"):
        engine.submit(ServingRequest((5,) * 256), Listener())
    with pytest.raises(RequestTooLongError):
        engine.submit(ServingRequest(()), Listener())


def failing(engine: ServingEngine, request: ServingRequest) -> Exception:
    last = list(engine.stream(request))[-1]
    assert isinstance(last, Failed)
    return last.error


def test_a_failure_ends_its_requests_and_not_the_engine(engine: ServingEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    request = ServingRequest(PROMPTS[0], 5, temperature=0)
    expected = alone(engine, request)
    with monkeypatch.context() as broken:

        def fail(*_: Any) -> None:
            raise RuntimeError("no memory")

        broken.setattr(engine._model, "logits", fail)
        assert "no memory" in str(failing(engine, request))
    assert alone(engine, request) == expected
    poison = replace(request, logit_bias={7: float("nan")}, n=3)
    listeners = [Listener(), Listener()]
    engine.submit(request, listeners[0])
    engine.submit(poison, listeners[1])
    assert listeners[0].text() == expected
    assert listeners[1].is_over.wait(60)
    assert [type(event) for event in listeners[1].events] == [Failed]
    assert isinstance(listeners[1].events[0].error, NonFiniteError)
    assert engine._scheduler.pool.reserved == 0


def test_closing_fails_what_is_under_way(tiny_chat_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = start_engine(tiny_chat_model)
    gate = hold(engine, monkeypatch)
    events: queue.SimpleQueue[list[Event]] = queue.SimpleQueue()
    engine.submit(ServingRequest(PROMPTS[0], 200, logit_bias={2: -100}), events.put)
    engine._is_closing = True
    gate.set()
    engine.close()
    engine.close()
    last: list[Event] = []
    while not events.empty():
        last = events.get()
    assert isinstance(last[-1], Failed)
    with pytest.raises(EngineError, match="stopping"):
        engine.submit(ServingRequest(PROMPTS[0]), events.put)


def test_adapters_that_cannot_share_a_pass_are_refused(
    engine: ServingEngine, adapters: list[Path], tmp_path: Path
) -> None:
    import json
    import shutil

    first, second = (load_adapter(engine.base, folder) for folder in adapters[:2])
    assert first.version != second.version
    with pytest.raises(ModelError, match="cannot be read"):
        load_adapter(engine.base, tmp_path)
    odd = tmp_path / "odd"
    shutil.copytree(adapters[0], odd)
    config = json.loads((odd / "adapter_config.json").read_text())
    (odd / "adapter_config.json").write_text(json.dumps(config | {"use_dora": True}))
    with pytest.raises(ModelError, match="use_dora"):
        load_adapter(engine.base, odd)
