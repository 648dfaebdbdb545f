"""Which base models there are, and under which names: the model directory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tuneward.config import ServerConfig
from tuneward.errors import ConfigError, did_you_mean
from tuneward.jobs.arns import managed_id
from tuneward.jobs.problems import ObjectNotFoundError


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A base model that may be tuned and called."""

    id: str
    """What callers say."""
    local: str
    """As `tuneward.models.resolve` takes it."""
    provider: str
    aliases: tuple[str, ...] = ()

    @property
    def managed_id(self) -> str:
        """How it is called in ARNs."""
        return managed_id(self.id, self.provider)


class ModelDirectory:
    """Names → base models.

    Args:
        config: `models` and `model_map`.

    Raises:
        ConfigError: two models of one name, or a map that cannot be read or names a model that is not there.
    """

    def __init__(self, config: ServerConfig):
        self._models: dict[str, BaseModel] = {}
        self._names: dict[str, str] = {}
        extra = _read_map(config.model_map) if config.model_map is not None else {}
        for entry in config.models:
            model_id = entry.id or (Path(entry.name).name if Path(entry.name).exists() else entry.name)
            aliases = (*entry.aliases, *(name for name, target in extra.items() if target == model_id))
            if model_id in self._models:
                raise ConfigError(f'models: two models would be called "{model_id}"; give one of them an id.')
            base = self._models[model_id] = BaseModel(model_id, entry.name, entry.provider, aliases)
            for name in (model_id, base.managed_id, *aliases):
                if self._names.setdefault(canonical(name), model_id) != model_id:
                    raise ConfigError(f'models: "{name}" names {self._names[canonical(name)]} and {model_id}.')
        for name, target in extra.items():
            if target not in self._models:
                known = ", ".join(self._models)
                raise ConfigError(f"{config.model_map}: {name} → {target}, but the models are {known}.")

    def __iter__(self) -> Iterator[BaseModel]:
        return iter(self._models.values())

    def find(self, name: str) -> BaseModel:
        """A base model by id, alias, managed id in any of its spellings, or foundation-model ARN.

        Raises:
            ObjectNotFoundError: no such model; the text names the known ones and how to map one.
        """
        model_id = self._names.get(canonical(name))
        if model_id is None:
            hint = did_you_mean(name, self._models) or "."
            raise ObjectNotFoundError(
                f"The model '{name}' does not exist here{hint} Known: {', '.join(self._models)}. To use this name, map "
                "it: an alias of a model, or a line in the model_map file of the server's configuration.",
                param="model",
                code="model_not_found",
            )
        return self._models[model_id]


_ARN = re.compile(r"arn:aws[^:]*:bedrock:[^:]*:\d*:(?:foundation-model|inference-profile)/")
_REGION = re.compile(r"(?:us|eu|apac|jp|au|ca|us-gov|global)\.(?=[a-z0-9-]+\.)")
_VERSION = re.compile(r"(?:-v?\d+)?(?::\w+)+$|-v\d+$")


def canonical(name: str) -> str:
    """A managed id without what tells versions, contexts and regions apart; other names as they are, in lower case.

    `arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-2-lite-v1:0:256k` → `amazon.nova-2-lite`.
    """
    name = _ARN.sub("", name.strip()).lower()
    name = _REGION.sub("", name, count=1)
    return _VERSION.sub("", name) or name


def _read_map(path: Path) -> dict[str, str]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"model_map: {path} cannot be read ({error}).") from None
    if not isinstance(tree, dict) or not all(isinstance(value, str) for value in tree.values()):
        raise ConfigError(f"model_map: {path} must hold lines of the form NAME: MODEL.")
    return {str(name): target for name, target in tree.items()}
