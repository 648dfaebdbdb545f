"""The configuration that a job runs with, every setting with its default and meaning, as callers may see it.

Paths, addresses of judges and whatever else is the operator's are left out; data and models have the callers' names.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined, to_jsonable_python

from tuneward.config import Config, SupervisedConfig, parse_section
from tuneward.errors import ConfigError
from tuneward.jobs.inputs import name_of
from tuneward.jobs.spec import JobSpec
from tuneward.runs.folder import RunFolder
from tuneward.types import Json

NOT_SHOWN = {
    "run": ("root", "name", "stop_at"),
    "reward": ("connection", "handler", "workers", "memory_mb", "isolation"),
    "rollout": ("command", "url", "port", "adapter_folder"),
}
"""Settings of each section that are the operator's."""

INNER_NOT_SHOWN = (*NOT_SHOWN["reward"], "secret_variable", "header_variables")
"""Keys that are left out at any depth of the reward."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting."""

    name: str
    value: Json
    default: Json
    """None also where there is none."""
    is_changed: bool
    """It is not the default."""
    description: str


@dataclass(frozen=True, slots=True)
class SettingSection:
    """Settings that belong together."""

    name: str
    description: str
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class ResolvedConfig:
    """What a job runs with."""

    sections: tuple[SettingSection, ...]
    """Empty when the settings of the job are wrong, which is then why it failed."""
    yaml: str
    """Every setting, as a configuration file has them."""
    changed_yaml: str
    """The settings that are not the defaults."""


def resolve_config(spec: JobSpec, run: RunFolder, model: str) -> ResolvedConfig:
    """The configuration of a job.

    Args:
        spec: of the job.
        run: its run folder, which need not exist yet.
        model: the model that the job tunes, as the caller named it.
    """
    kind: type[SupervisedConfig] | type[Config] = SupervisedConfig if spec.method == "supervised" else Config
    try:
        config = parse_section(kind, _tree(spec, run))
    except ConfigError:
        text = _text({"model": model, **_shown(copy.deepcopy(spec.config))})
        return ResolvedConfig((), text, text)
    whole = _named(_shown(_values(config)), spec, model)
    sections = tuple(_sections(config, whole))
    changed: dict[str, Any] = {"model": model}
    for section in sections:
        settings = {setting.name: setting.value for setting in section.settings if setting.is_changed}
        if settings:
            changed[section.name] = settings
    return ResolvedConfig(sections, _text(whole), _text(changed))


def _tree(spec: JobSpec, run: RunFolder) -> dict[str, Any]:
    """As the run has it; before there is a run, as it will be made."""
    try:
        found = yaml.safe_load(run.config.read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        pass
    tree = copy.deepcopy(spec.config)
    tree["data"] = {**(tree.get("data") or {}), "train": "train.jsonl"}
    return tree


def _values(config: BaseModel) -> dict[str, Any]:
    """Every setting; of what a setting itself consists of, such as a judge, only what is not the default."""
    tree, given = config.model_dump(mode="json"), config.model_dump(mode="json", exclude_defaults=True)
    for name in type(config).model_fields:
        section = getattr(config, name)
        for field in type(section).model_fields if isinstance(section, BaseModel) else ():
            if isinstance(getattr(section, field), BaseModel):
                tree[name][field] = given.get(name, {}).get(field, {})
    return tree


def _shown(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree without what is the operator's."""
    shown: dict[str, Any] = {}
    for name, values in tree.items():
        if name in ("schema_version", "method", "threads"):
            continue
        if isinstance(values, dict):
            values = {field: value for field, value in values.items() if field not in NOT_SHOWN.get(name, ())}
        shown[name] = _graders(values) if name == "reward" else values
    return shown


def _graders(value: Json) -> Json:
    """A reward without what is the operator's, and without the many keys that are not given; of a file its name."""
    if isinstance(value, list):
        return [_graders(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    kept = {name: _graders(inner) for name, inner in value.items() if name not in INNER_NOT_SHOWN and inner is not None}
    if isinstance(kept.get("file"), str):
        kept["file"] = kept["file"].rpartition("/")[2]
    return kept


def _named(tree: dict[str, Any], spec: JobSpec, model: str) -> dict[str, Any]:
    """The tree with the callers' names in place of paths."""
    data, lora = tree["data"], tree["lora"]
    data["train"] = name_of(spec.training)
    data["validation"] = ", ".join(name_of(source) for source in spec.validation) or None
    lora["init_from"] = None if spec.start_from is None else model
    return {**tree, "model": model}


def _sections(config: BaseModel, tree: dict[str, Any]) -> Iterator[SettingSection]:
    for name, field in type(config).model_fields.items():
        section = getattr(config, name)
        if not isinstance(section, BaseModel):
            continue
        shown = tree[name]
        settings = tuple(
            _setting(section, setting, shown[setting]) for setting in type(section).model_fields if setting in shown
        )
        description = field.description or (type(section).__doc__ or "").strip()
        yield SettingSection(name, description.partition(" Source")[0], settings)


def _setting(section: BaseModel, name: str, value: Json) -> Setting:
    field = type(section).model_fields[name]
    default = field.get_default(call_default_factory=True, validated_data={})
    is_changed = getattr(section, name) != default
    plain: Json = None if default is PydanticUndefined else to_jsonable_python(default)
    return Setting(name, value, plain, is_changed, field.description or "")


def _text(tree: dict[str, Any]) -> str:
    return str(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=120))
