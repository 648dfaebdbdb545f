"""What a section can be told, for forms: names, types, ranges, defaults and guidance, from the fields themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel

from tuneward.config.load import section_of

SettingType: TypeAlias = Literal["integer", "number", "boolean", "choice", "text", "texts"]
"""`texts`: one text, or a list of them."""


@dataclass(frozen=True, slots=True)
class SettingCard:
    """One field of a section."""

    name: str
    """`SECTION.FIELD`."""
    type: SettingType
    default: Any
    """As JSON."""
    is_optional: bool
    """May be null."""
    minimum: float | None
    maximum: float | None
    excludes_minimum: bool
    excludes_maximum: bool
    choices: tuple[str, ...]
    guidance: str
    """The field's docstring, on one line."""


def settings_of(root: type[BaseModel], fields: Mapping[str, Sequence[str]]) -> list[SettingCard]:
    """Fields of a configuration's sections.

    Args:
        root: a configuration.
        fields: section → its fields that are wanted.
    """
    cards = []
    for name, wanted in fields.items():
        section = section_of(root.model_fields[name].annotation)
        assert section is not None
        schema = section.model_json_schema()["properties"]
        cards += [_card(f"{name}.{field}", schema[field]) for field in wanted]
    return cards


def _card(name: str, schema: Mapping[str, Any]) -> SettingCard:
    choices = [choice for choice in schema.get("anyOf", [schema]) if choice.get("type") != "null"]
    form = choices[0]
    low, high = form.get("exclusiveMinimum", form.get("minimum")), form.get("exclusiveMaximum", form.get("maximum"))
    return SettingCard(
        name=name,
        type=_type(choices),
        default=schema.get("default"),
        is_optional=len(choices) < len(schema.get("anyOf", [schema])),
        minimum=low,
        maximum=high,
        excludes_minimum="exclusiveMinimum" in form,
        excludes_maximum="exclusiveMaximum" in form,
        choices=tuple(form.get("enum", ())),
        guidance=" ".join(schema.get("description", "").split()),
    )


def _type(choices: Sequence[Mapping[str, Any]]) -> SettingType:
    if "enum" in choices[0]:
        return "choice"
    if any(choice.get("type") == "array" for choice in choices):
        return "texts"
    named: dict[str, SettingType] = {"integer": "integer", "number": "number", "boolean": "boolean"}
    return named.get(str(choices[0].get("type")), "text")
