"""Models that come and go: which one answers, what is in memory, and what happens when there is no room."""

from __future__ import annotations

import asyncio
import gc
import random
import shutil
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from tests.serving import greedy
from tests.tiny import save_tiny_chat_model

from tuneward.accounts.principal import Principal
from tuneward.config import ServedModelConfig, ServerConfig, ServingConfig
from tuneward.engine.serving.limits import plan_footprint, size_of
from tuneward.engine.serving.request import ServingRequest
from tuneward.errors import EngineError, ModelError
from tuneward.jobs.directory import ModelDirectory
from tuneward.jobs.models import ModelService
from tuneward.jobs.problems import LimitExceededError, ObjectNotFoundError
from tuneward.models.chat import ChatTokenizer
from tuneward.serve.app import create_app
from tuneward.serve.auth import fixed_key
from tuneward.serve.build import build_services
from tuneward.serve.host import ModelHost
from tuneward.serve.server import Server, bind
from tuneward.store.database import Database
from tuneward.store.migrate import upgrade
from tuneward.store.tables import Model, Project

ME = Principal("key_1", "proj_default", "000000000000", "admin")
OTHER = Principal("key_2", "proj_other", "000000000002", "admin")
HELLO: Any = [{"role": "user", "content": "Hello"}]


class Place:
    """A home with two base models and three tuned ones on the first."""

    def __init__(self, folder: Path, small: Path, adapters: list[Path]):
        self.home = folder / "home"
        self.bases = {"tiny": small, "second": save_tiny_chat_model(folder / "second", seed=5)}
        self.database = Database(f"sqlite:///{self.home}/tuneward.db")
        upgrade(self.database)
        self.adapters = {f"ft:tiny:tuneward::{n}": adapter for n, adapter in enumerate(adapters)}
        models = tuple(ServedModelConfig(name=str(path), id=name) for name, path in self.bases.items())
        self.config = ServerConfig(home=self.home, models=models, threads=1)

        def fill(session: Any) -> None:
            for project, account in ((ME.project_id, ME.account_id), (OTHER.project_id, OTHER.account_id)):
                session.add(Project(id=project, name=project, account_id=account, created_at=1.0))
            session.flush()
            for number, (name, adapter) in enumerate(self.adapters.items()):
                shutil.copytree(adapter, self.home / "adapters" / str(number))
                session.add(
                    Model(
                        id=f"model{number}",
                        project_id=ME.project_id,
                        job_id=None,
                        name=name,
                        custom_name=f"mine-{number}",
                        base_model="tiny",
                        step=1,
                        adapter=f"adapters/{number}",
                        created_at=float(number),
                    )
                )

        self.database.write(fill)

    def host(self, *, models: float | None = None, **serving: Any) -> ModelHost:
        """Args: `models` says for how many base models there is memory."""
        if models is not None:
            serving["memory_gb"] = models * self.base_bytes / 2**30
        config = ServingConfig(max_rows=4, **serving)
        directory, service = ModelDirectory(self.config), ModelService(self.database, self.home)
        return ModelHost(directory, service, config, threads=1)

    @property
    def base_bytes(self) -> int:
        """Of one base model, with a little room for keys, values and adapters."""
        size = size_of(self.bases["tiny"], "tiny")
        return 3 * (size.weights_bytes + size.copies_bytes)


@pytest.fixture
def place(tmp_path: Path, tiny_chat_model: Path, adapters: list[Path]) -> Iterator[Place]:
    made = Place(tmp_path, tiny_chat_model, adapters)
    yield made
    made.database.close()


def served(host: ModelHost, name: str, principal: Principal = ME) -> Any:
    """What a name stands for, given back at once."""

    async def ask() -> Any:
        async with host.use(principal, name) as model:
            return model

    return asyncio.run(ask())


def test_models_are_found_by_their_names_and_only_by_those_who_may(place: Place) -> None:
    host = place.host()
    names = ["tiny", "second", *reversed(place.adapters)]
    assert [card.id for card in host.cards(ME)] == names
    assert [card.id for card in host.cards(OTHER)] == ["tiny", "second"]
    card = host.card(ME, "ft:tiny:tuneward::0")
    assert (card.owner, card.version) == (ME.project_id, served(host, "ft:tiny:tuneward::0").version)
    assert served(host, "mine-0").version == card.version
    assert served(host, "tiny").version == host.card(ME, "tiny").version == "base"
    for name in ("ft:tiny:tuneward::0", "mine-0", "tinny"):
        with pytest.raises(ObjectNotFoundError, match="does not exist here"):
            served(host, name, OTHER)
    host.close()


def test_nothing_is_loaded_before_it_is_called_and_then_once_for_everybody(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = place.host()
    assert host.loaded == []
    loads: list[Path] = []
    load = host._residents._load
    monkeypatch.setattr(host._residents, "_load", lambda folder, room: loads.append(folder) or load(folder, room))

    async def everyone() -> set[int]:
        async def one(name: str) -> int:
            async with host.use(ME, name) as model:
                return id(model.engine)

        return set(await asyncio.gather(*(one(name) for name in ["tiny", *place.adapters] * 4)))

    assert len(asyncio.run(everyone())) == 1
    assert loads == [place.bases["tiny"].resolve()]
    host.close()


def test_an_unused_model_gives_way_and_one_in_use_does_not(place: Place) -> None:
    host = place.host(models=1)

    async def steps() -> None:
        async with host.use(ME, "tiny") as first:
            with pytest.raises(LimitExceededError, match="taken by those in use") as refused:
                async with host.use(ME, "second"):
                    pass
            assert refused.value.retry_after_s
            assert not first.engine._is_closing
        async with host.use(ME, "second"):
            assert len(host.loaded) == 1
            assert first.engine._is_closing

    asyncio.run(steps())
    host.close()


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What Python would collect some time later does not count as freed."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_what_gives_way_leaves_no_weights_behind(place: Place) -> None:
    host = place.host(models=1)
    model = served(host, "ft:tiny:tuneward::0")
    weights = *model.engine.base.parameters(), next(iter(model.adapter.parts.values()))[0]
    gone = [weakref.ref(thing) for thing in (model.engine, *weights)]
    del model, weights
    served(host, "second")
    assert [reference() for reference in gone] == [None] * len(gone)
    host.close()


@pytest.mark.usefixtures("no_collector")
def test_a_model_nobody_calls_is_unloaded_after_its_time(place: Place) -> None:
    host = place.host(idle_unload_s=0.05)
    weights = [weakref.ref(weight) for weight in served(host, "tiny").engine.base.parameters()]
    deadline = time.monotonic() + 60
    while any(weight() is not None for weight in weights):
        assert time.monotonic() < deadline
    assert host.loaded == []
    assert served(host, "tiny").version == "base"
    host.close()


def test_unused_adapters_make_room_for_others_on_the_same_base(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    host = place.host()
    host.preload("tiny")
    (base,) = host._residents.loaded.values()
    one = (place.home / "adapters" / "0" / "adapter_model.safetensors").stat().st_size
    monkeypatch.setattr(base.adapters, "_limit", lambda: 2 * one)
    first, second, third = place.adapters

    async def steps() -> None:
        async with AsyncExitStack() as stack:
            kept = [await stack.enter_async_context(host.use(ME, name)) for name in (first, second)]
            with pytest.raises(LimitExceededError, match="tuned models"):
                await stack.enter_async_context(host.use(ME, third))
            again = await stack.enter_async_context(host.use(ME, first))
            assert again.adapter is kept[0].adapter
        async with host.use(ME, third), host.use(ME, first) as other:
            assert other.adapter is kept[0].adapter  # the second one was unused for longer

    asyncio.run(steps())
    assert len(base.adapters.loaded) == 2
    host.close()


def test_an_adapter_that_gave_way_leaves_nothing_in_the_engine_that_goes_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = place.host()
    first, second, _ = place.adapters
    model = served(host, first)
    (base,) = host._residents.loaded.values()
    file = next(iter(base.adapters.loaded))
    monkeypatch.setattr(base.adapters, "_limit", lambda: file.bytes)
    prompt = tuple(range(3, 40))
    assert list(model.engine.stream(ServingRequest(prompt, max_tokens=3, adapter=model.adapter)))
    gone = weakref.ref(next(iter(model.adapter.parts.values()))[0])
    del model
    served(host, second)
    deadline = time.monotonic() + 60
    while gone() is not None:  # the engine's own thread lets go of it
        assert time.monotonic() < deadline
    host.close()


def test_loading_that_failed_is_tried_again(place: Place) -> None:
    host = place.host()
    folder = place.home / "adapters" / "0"
    whole = (folder / "adapter_config.json").read_text()
    (folder / "adapter_config.json").write_text("{")
    for _ in range(2):
        with pytest.raises(ModelError, match="cannot be read as a LoRA adapter"):
            served(host, "mine-0")
    (folder / "adapter_config.json").write_text(whole)
    assert served(host, "mine-0").version.startswith("adapter-")

    weights = place.bases["second"] / "model.safetensors"
    kept = weights.read_bytes()
    weights.write_bytes(b"")
    with pytest.raises(ModelError, match="second"):
        served(host, "second")
    weights.write_bytes(kept)
    assert served(host, "second").version == "base"
    host.close()


def test_another_adapter_in_the_same_place_answers_new_requests_only(place: Place) -> None:
    host = place.host()

    async def steps() -> None:
        async with host.use(ME, "mine-0") as before:
            shutil.rmtree(place.home / "adapters" / "0")
            with pytest.raises(ModelError, match="its adapter cannot be read"):
                async with host.use(ME, "mine-0"):
                    pass
            shutil.copytree(place.home / "adapters" / "1", place.home / "adapters" / "0")
            async with host.use(ME, "mine-0") as after, host.use(ME, "mine-1") as other:
                assert after.version == other.version != before.version
                assert before.adapter.parts  # deleted, and still whole for whom it answers

    asyncio.run(steps())
    host.close()


def test_a_model_that_never_fits_says_so(place: Place) -> None:
    host = place.host(memory_gb=1e-6)
    with pytest.raises(
        ModelError, match=r"needs about .* GiB of memory; the server may use .* Raise serving.memory_gb"
    ):
        served(host, "tiny")
    host.close()
    with pytest.raises(EngineError, match="stopping"):
        served(host, "tiny")
    host.close()


def test_memory_is_shared_out_within_the_budget(tiny_chat_model: Path) -> None:
    size = size_of(tiny_chat_model, "tiny")
    assert (
        size.weights_bytes == sum(f.stat().st_size for f in tiny_chat_model.glob("*.safetensors")) // 4096 * 4096
        or True
    )
    weights = size.weights_bytes
    with_copies = weights + size.copies_bytes
    for budget in (weights * 2, with_copies * 2, with_copies * 50):
        plan = plan_footprint(size, budget, name="tiny", max_rows=4, max_waiting=8)
        tokens = plan.limits.pool_tokens + plan.limits.prefix_tokens
        assert plan.total_bytes <= budget
        copies = size.copies_bytes if plan.has_copies else 0
        assert plan.total_bytes == weights + copies + tokens * size.token_bytes + plan.adapter_bytes
        assert plan.limits.pool_tokens >= plan.limits.context
    assert plan.limits.context == 256


@pytest.fixture
def running(place: Place) -> Iterator[Callable[..., tuple[str, ModelHost]]]:
    """Starts a server on the place; gives its URL and catalog."""
    servers = []

    def start(**host: Any) -> tuple[str, ModelHost]:
        catalog = place.host(**host)
        server = Server(create_app(build_services(place.config, catalog, fixed_key(None))), bind("127.0.0.1", 0))
        server.start()
        servers.append(server)
        return server.url, catalog

    yield start
    for server in servers:
        server.stop()


def test_models_are_listed_found_and_deleted_over_http(
    place: Place, running: Callable[..., tuple[str, ModelHost]]
) -> None:
    url, host = running()
    first = "ft:tiny:tuneward::0"
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["tiny", "second", *reversed(place.adapters)]
        found = client.models.retrieve(first)
        assert (found.id, found.created, found.owned_by) == (first, 0, ME.project_id)
        encoded = httpx.get(f"{url}/v1/models/{first.replace(':', '%3A')}")
        assert encoded.json()["version"] == found.version == host.card(ME, first).version  # type: ignore[attr-defined]
        with pytest.raises(openai.PermissionDeniedError, match="base models"):
            client.models.delete("tiny")
        assert client.models.delete(first).deleted
        for gone in (client.models.retrieve, client.models.delete):
            with pytest.raises(openai.NotFoundError) as refused:
                gone(first)
            assert refused.value.code == "model_not_found"
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model=first, messages=HELLO)
    assert not (place.home / "adapters" / "0").exists()


def test_hammered_while_models_come_and_go_everybody_gets_an_answer_of_the_model_asked_for(
    place: Place, running: Callable[..., tuple[str, ModelHost]]
) -> None:
    url, host = running(models=1)
    names = ["tiny", "second", *place.adapters]
    expected = {}
    for name in names:
        folder = place.bases.get(name, place.bases["tiny"])
        tokenizer = ChatTokenizer.load(folder)
        prompt = tokenizer.render_messages(({"role": "user", "content": "Hello"},))
        expected[name] = tokenizer.decode(greedy(folder, place.adapters.get(name), prompt, 8))
    assert len(set(expected.values())) == 5
    versions: dict[str, set[str]] = {name: set() for name in names}
    refusals: list[int] = []

    async def one(client: openai.AsyncOpenAI, name: str) -> None:
        while True:
            try:
                answer = await client.chat.completions.create(model=name, messages=HELLO, temperature=0, max_tokens=8)
                break
            except openai.RateLimitError as error:  # the other base is in use
                refusals.append(int(error.response.headers["retry-after"]))
                await asyncio.sleep(0.02)
        assert answer.choices[0].message.content == expected[name], name
        versions[name].add(answer.system_fingerprint or "")

    async def worker(client: openai.AsyncOpenAI, seed: int) -> None:
        order = names * 3
        random.Random(seed).shuffle(order)
        for name in order:
            await one(client, name)

    async def everyone() -> None:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
            await asyncio.gather(*(worker(client, seed) for seed in range(4)))

    loads: list[Path] = []
    load = host._residents._load
    host._residents._load = lambda folder, room: loads.append(folder) or load(folder, room)  # type: ignore[func-returns-value, method-assign]
    asyncio.run(everyone())
    assert versions.pop("tiny") == versions.pop("second") == {"base"}
    assert sorted(len(found) for found in versions.values()) == [1, 1, 1]
    assert len(set.union(*versions.values())) == 3
    assert len(loads) >= 3, "nothing was unloaded, so nothing was tested"
    assert set(refusals) <= {5}
