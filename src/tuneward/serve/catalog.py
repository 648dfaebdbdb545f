"""The models a server has, by name: base models, and tuned ones that share a base in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tuneward.accounts.principal import Principal
from tuneward.errors import ConfigError, did_you_mean
from tuneward.jobs.problems import ObjectNotFoundError

if TYPE_CHECKING:  # a server answers before it has loaded torch
    from tuneward.engine.serving.adapters import Adapter
    from tuneward.engine.serving.engine import ServingEngine


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One name that requests may use."""

    id: str
    engine: ServingEngine
    created: int
    """Seconds since 1970: of the adapter, or of loading."""
    adapter: Adapter | None = None

    @property
    def version(self) -> str:
        """What answered: the adapter's version, or `base`."""
        return "base" if self.adapter is None else self.adapter.version


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is said of a model in lists."""

    id: str
    created: int
    """Seconds since 1970."""
    owner: str = "tuneward"
    version: str | None = "base"
    """What would answer; None: not looked up."""


class Catalog(Protocol):
    """The models that callers may use. Implementations are thread-safe."""

    def cards(self, principal: Principal) -> list[ModelCard]:
        """All that the caller may use, loaded or not."""
        ...

    def card(self, principal: Principal, name: str) -> ModelCard:
        """One of them. Raises ObjectNotFoundError."""
        ...

    def use(self, principal: Principal, name: str) -> AbstractAsyncContextManager[ServedModel]:
        """A model, ready and kept loaded until the block ends.

        Raises:
            ObjectNotFoundError: there is none of this name, or it is somebody else's.
            LimitExceededError: it cannot be loaded now, because the memory is taken by models in use.
            ModelError: it cannot be loaded at all.
        """
        ...

    @property
    def loaded(self) -> list[str]:
        """Base models in memory, by the name they have on this machine."""
        ...

    @property
    def loaded_adapters(self) -> frozenset[Path]:
        """Folders of the tuned models in memory that may be unloaded again."""
        ...

    def close(self) -> None:
        """Stop the engines; safe to call twice."""
        ...


class FixedCatalog:
    """Loaded models by name, for every caller.

    Args:
        models: their ids differ.

    Raises:
        ConfigError: two of one name.
    """

    def __init__(self, models: Iterable[ServedModel]):
        self._models: dict[str, ServedModel] = {}
        for model in models:
            if model.id in self._models:
                raise ConfigError(f'Two models would be called "{model.id}"; name each run and model once.')
            self._models[model.id] = model

    def get(self, name: str) -> ServedModel | None:
        return self._models.get(name)

    @property
    def models(self) -> list[ServedModel]:
        """In the order given."""
        return list(self._models.values())

    def cards(self, _principal: Principal) -> list[ModelCard]:
        """See `Catalog.cards`."""
        return [ModelCard(model.id, model.created, version=model.version) for model in self._models.values()]

    def card(self, principal: Principal, name: str) -> ModelCard:
        """See `Catalog.card`."""
        found = self._find(name)
        return next(card for card in self.cards(principal) if card.id == found.id)

    @asynccontextmanager
    async def use(self, _principal: Principal, name: str) -> AsyncIterator[ServedModel]:
        """See `Catalog.use`."""
        yield self._find(name)

    @property
    def loaded(self) -> list[str]:
        """See `Catalog.loaded`."""
        return [model.id for model in self.models if model.adapter is None]

    @property
    def loaded_adapters(self) -> frozenset[Path]:
        """See `Catalog.loaded_adapters`; these stay."""
        return frozenset()

    def close(self) -> None:
        """See `Catalog.close`."""
        for engine in {id(model.engine): model.engine for model in self._models.values()}.values():
            engine.close()

    def _find(self, name: str) -> ServedModel:
        model = self._models.get(name)
        if model is None:
            hint = did_you_mean(name, self._models) or "."
            raise ObjectNotFoundError(
                f"The model '{name}' does not exist here{hint}", param="model", code="model_not_found"
            )
        return model
