"""Reading a configuration: YAML, overrides, validation, and errors in words."""

from __future__ import annotations

import copy
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from tuneward.config.job import Config
from tuneward.config.section import INPUT_FILE, Section
from tuneward.errors import ConfigError, did_you_mean

S = TypeVar("S", bound=Section)


def load_config(path: Path | None, overrides: tuple[str, ...] = (), base: dict[str, Any] | None = None) -> Config:
    """`load_section` for the configuration of a run. Raises ConfigError."""
    return load_section(Config, path, overrides, base)


def load_section(
    section: type[S], path: Path | None, overrides: tuple[str, ...] = (), base: dict[str, Any] | None = None
) -> S:
    """Read a YAML file, lay `base` and then `key.path=value` overrides over it, and validate.

    Relative paths in the file count from the file's folder, those in overrides from the working folder.

    Raises:
        ConfigError: missing or unreadable file, broken YAML, unknown key, or a value out of range; the
            message names the key in dotted form and the nearest valid one.
    """
    tree: dict[str, Any] = {}
    where = "configuration"
    if path is not None:
        where = str(path)
        # A section whose lines are all commented out reads as null and means its defaults.
        tree = {key: {} if value is None else value for key, value in _read_yaml(path).items()}
        _anchor_paths(tree, section, path.parent)
    for key, value in copy.deepcopy(base or {}).items():
        if isinstance(value, dict) and isinstance(tree.get(key), dict):
            tree[key] |= value
        else:
            tree[key] = value
    for override in overrides:
        _apply_override(tree, override)
    _anchor_paths(tree, section, Path())
    return parse_section(section, tree, where)


def parse_config(tree: dict[str, Any], where: str = "configuration") -> Config:
    """`parse_section` for the configuration of a run. Raises ConfigError."""
    return parse_section(Config, tree, where)


def parse_section(section: type[S], tree: dict[str, Any], where: str = "configuration") -> S:
    """Validate a tree of plain values; `where` names its source in errors. Raises ConfigError."""
    try:
        return section.model_validate(tree)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(problem, where, section) for problem in error.errors())) from None


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file.") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected keys and values at the top, found {type(tree).__name__}.")
    return tree


def _anchor_paths(tree: dict[str, Any], section: type[BaseModel], folder: Path) -> None:
    """Make the input files that a tree names count from a folder; `~` is the user's home."""
    for name, field in section.model_fields.items():
        value = tree.get(name)
        if isinstance(value, str) and _is_input_file(field.metadata, field.annotation):
            tree[name] = str(folder / Path(value).expanduser())
        elif isinstance(value, dict) and (inner := section_of(field.annotation)):
            parts = value.values() if _is_mapping(field.annotation) else [value]
            for part in parts:
                if isinstance(part, dict):
                    _anchor_paths(part, inner, folder)


def _is_input_file(metadata: Iterable[Any], annotation: Any) -> bool:
    if INPUT_FILE in metadata:
        return True
    return any(INPUT_FILE in getattr(choice, "__metadata__", ()) for choice in typing.get_args(annotation))


def _is_mapping(annotation: Any) -> bool:
    return typing.get_origin(annotation) is dict


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds, alone, optionally, or under names of the user's own."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for choice in typing.get_args(annotation) if (found := section_of(choice))), None)


def _apply_override(tree: dict[str, Any], override: str) -> None:
    dotted, separator, text = override.partition("=")
    if not separator or not dotted.strip():
        raise ConfigError(f'--set {override}: expected key.path=value, e.g. "training.learning_rate=3e-4".')
    try:
        value = yaml.safe_load(text) if text else None
    except yaml.YAMLError:
        value = text
    if isinstance(value, str) and value == text.strip():  # quotes make it text: name='"7"'
        value = _number(value)
    *parents, leaf = dotted.strip().split(".")
    node = tree
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(f'--set {override}: "{parent}" is a value, not a section.')
        node = child
    node[leaf] = value


def _number(text: str) -> str | float:
    """YAML 1.1 reads `3e-4` as a string; people mean the number."""
    try:
        return float(text)
    except ValueError:
        return text


def _explain(problem: Any, where: str, root: type[BaseModel]) -> str:
    dotted = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        *section, key = map(str, problem["loc"])
        known = _known_keys(problem["loc"][:-1], root)
        prefix = "".join(f"{part}." for part in section)
        hint = did_you_mean(key, known, prefix=prefix) or f". Known keys: {', '.join(sorted(known))}."
        return f'{where}: unknown key "{dotted}"{hint}'
    if problem["type"] == "missing":
        return f'{where}: "{dotted}" is missing; add it, or give it with --set {dotted}=….'
    message = problem["msg"].removeprefix("Value error, ")
    shown = problem.get("input")
    got = f" (got {shown!r})" if isinstance(shown, str | int | float | bool | None) else ""
    return f'{where}: "{dotted}": {message}{got}.' if dotted else f"{where}: {message}."


def _known_keys(location: tuple[int | str, ...], root: type[BaseModel]) -> list[str]:
    section: type[BaseModel] | None = root
    is_name = False  # of the user's own, such as that of a part
    for part in location:
        if section is None:
            return []
        if is_name or str(part) not in section.model_fields:
            is_name = False
            continue
        annotation = section.model_fields[str(part)].annotation
        section, is_name = section_of(annotation), _is_mapping(annotation)
    return list(section.model_fields) if section else []
