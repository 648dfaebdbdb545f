"""Templates of graders: text with `{{ item.path }}` and `{{ sample.path }}`, replaced and nothing more.

Source: OpenAI grader contract, 5.1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from tuneward.errors import did_you_mean
from tuneward.rewards.openai.case import SAMPLE_VARIABLES, Case
from tuneward.rewards.openai.outcome import FaultError
from tuneward.types import Json

NAMESPACES = ("item", "sample")

Key: TypeAlias = str | int

NAME = re.compile(r"[^\s.\[\]{}()|\"',]+")
STEP = re.compile(rf"\.({NAME.pattern})|\[(\d{{1,9}})\]")


@dataclass(frozen=True, slots=True)
class Variable:
    """One `{{ namespace.path }}`."""

    namespace: str
    keys: tuple[Key, ...]
    written: str
    """As it stands in the template, without the braces."""

    def look_up(self, case: Case) -> Json:
        """The value for one case.

        Raises:
            FaultError: there is none; `sample_parse_error` when the answer should have been JSON and is not.
        """
        value: Json = case.item if self.namespace == "item" else case.sample
        if self.namespace == "sample" and self.keys[:1] == ("output_json",) and not case.is_json:
            raise FaultError(
                "sample_parse_error", f"{self.written} asks for JSON, and the answer is not JSON.", is_of_sample=True
            )
        for depth, key in enumerate(self.keys):
            is_there = (isinstance(value, dict) and key in value) or (
                isinstance(value, list) and isinstance(key, int) and key < len(value)
            )
            if not is_there:
                owner = "answer" if self.namespace == "sample" else "row"
                raise FaultError(
                    "invalid_variable_error",
                    f"{self.written} is not in the {owner}: {self._place(depth)} has no {_shown(key)}.",
                    is_of_sample=self.namespace == "sample",
                )
            value = value[key]
        return value

    def _place(self, depth: int) -> str:
        return self.namespace + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.keys[:depth])


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template."""

    parts: tuple[str | Variable, ...]

    def render(self, case: Case) -> str:
        """The text for one case; what is put in is never read as a template again.

        Raises:
            FaultError: a variable has no value.
        """
        return "".join(part if isinstance(part, str) else rendered(part.look_up(case)) for part in self.parts)


def parse_template(text: str) -> Template:
    """Read a template.

    Raises:
        ValueError: an unclosed `{{`, a namespace other than `item` and `sample`, or anything but a plain path; says
            which.
    """
    parts: list[str | Variable] = []
    end = 0
    while (start := text.find("{{", end)) >= 0:
        if start > end:
            parts.append(text[end:start])
        close = text.find("}}", start)
        if close < 0:
            raise ValueError(f'"{{{{" at character {start + 1} is never closed; write {{{{ item.name }}}}')
        parts.append(_variable(text[start + 2 : close].strip()))
        end = close + 2
    if end < len(text):
        parts.append(text[end:])
    return Template(tuple(parts))


def render_all(templates: Iterable[Template], case: Case) -> list[str]:
    """The texts for one case. When the row lacks a field, that is what is said, whatever the answer lacks.

    Raises:
        FaultError: a variable has no value.
    """
    templates = list(templates)
    for template in templates:
        for part in template.parts:
            if isinstance(part, Variable) and part.namespace == "item":
                part.look_up(case)
    return [template.render(case) for template in templates]


def rendered(value: Json) -> str:
    """A value as text: strings as they are, null as nothing, everything else as JSON."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="replace").decode()  # JSON may hold half of a surrogate pair, which no request can.


def _variable(written: str) -> Variable:
    head = NAME.match(written)
    namespace = head.group() if head else ""
    if namespace not in NAMESPACES:
        raise ValueError(f'"{{{{{written}}}}}" names neither item nor sample; write {{{{ item.name }}}}')
    keys: list[Key] = []
    place = len(namespace)
    while step := STEP.match(written, place):
        name, index = step.groups()
        keys.append(name if index is None else int(index))
        place = step.end()
    if place < len(written):
        raise ValueError(
            f'"{{{{{written}}}}}" is more than a path, which graders do not know; use dots and [index] alone'
        )
    if namespace == "sample" and keys and keys[0] not in SAMPLE_VARIABLES:
        near = did_you_mean(str(keys[0]), SAMPLE_VARIABLES, prefix="sample.")
        raise ValueError(f'"{{{{{written}}}}}": sample has {", ".join(SAMPLE_VARIABLES)}{near}')
    return Variable(namespace, tuple(keys), written)


def _shown(key: Key) -> str:
    return f"entry {key}" if isinstance(key, int) else f'"{key}"'
