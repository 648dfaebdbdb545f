"""The models a server has, by name: base models, and tuned ones that share a base in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tuneward.engine.serving.adapters import Adapter
from tuneward.engine.serving.engine import ServingEngine
from tuneward.errors import ConfigError


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


class Catalog:
    """Models by name.

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

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._models.values())

    def get(self, name: str) -> ServedModel | None:
        return self._models.get(name)

    def close(self) -> None:
        """Stop the engines; safe to call twice."""
        for engine in {id(model.engine): model.engine for model in self._models.values()}.values():
            engine.close()
