"""Rubrics: Markdown files with a small front matter, ready-made or a user's own.

Source: Bedrock RFT contract, 4.4 (boolean criteria), 4.5 and 4.7 (the templates and their relatives).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator

from tuneward.config.section import Section
from tuneward.errors import GraderError, did_you_mean
from tuneward.rewards.judge.variables import RESPONSE

READY_MADE = Path(__file__).parent / "rubrics"

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
Scale = tuple[float, float]

_BRACES = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_PLACE = re.compile(rf"\n?{_BRACES.pattern}\n?", re.DOTALL)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*")
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)(.*)\Z", re.DOTALL | re.MULTILINE)


class Criterion(Section):
    """One thing that the judge decides."""

    met: str
    """When it is met, or what its numbers mean."""
    weight: float = Field(1.0, gt=0)
    """Its part in a score from criteria."""
    scale: Scale | None = None
    """Lowest and highest number; None: true or false."""
    is_essential: bool = False
    """A score from criteria is 0 when this one is not met, or at the low end of its scale."""

    @field_validator("scale")
    @classmethod
    def _in_order(cls, scale: Scale | None) -> Scale | None:
        return _rising(scale) if scale else None


class Header(Section):
    """The front matter of a rubric; a file without one gets its name from the file and these defaults."""

    name: str
    description: str = ""
    """One sentence for a list."""
    row_format: str = ""
    """What a row of the dataset holds, for a reader."""
    variables: dict[str, str] = Field(default_factory=dict)
    """Variable → what it is, for a reader; when given, these are all that the text uses."""
    scale: Scale = (0.0, 1.0)
    """Lowest and highest score of the judge; mapped to 0 and 1."""
    score_from: Literal["judge", "criteria"] = "judge"
    """`criteria`: the reward is the weighted share of criteria that are met, and the judge's score is only recorded."""
    pass_at: float | None = Field(None, ge=0, le=1)
    """Reward from which a completion counts as passed, recorded as `judge_passed`."""
    criteria: dict[Name, Criterion] = Field(default_factory=dict)

    @field_validator("criteria", mode="before")
    @classmethod
    def _sentences(cls, criteria: Any) -> Any:
        """A criterion may be only a sentence."""
        if not isinstance(criteria, dict):
            return criteria
        return {name: {"met": value} if isinstance(value, str) else value for name, value in criteria.items()}

    @field_validator("scale")
    @classmethod
    def _in_order(cls, scale: Scale) -> Scale:
        return _rising(scale)

    @model_validator(mode="after")
    def _score_has_a_source(self) -> Self:
        if self.score_from == "criteria" and not self.criteria:
            raise ValueError("score_from is criteria, and there are no criteria")
        return self


@dataclass(frozen=True)
class Rubric:
    """A rubric that can be used."""

    header: Header
    body: str
    """Markdown with variables in double braces."""
    path: Path | None
    """None: it came as a text."""
    source: str
    """The whole file or text."""
    digest: str
    """SHA-256 of the file or text, hexadecimal."""

    @property
    def name(self) -> str:
        return self.header.name

    @property
    def description(self) -> str:
        return self.header.description

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables in the text, each once, in order."""
        return tuple(dict.fromkeys(found.strip() for found in _BRACES.findall(self.body)))

    def render(self, blocks: dict[str, str]) -> str:
        """The text with each variable replaced by a block on lines of its own, which is not looked at again."""
        return _PLACE.sub(lambda found: f"\n{blocks[found[1].strip()]}\n", self.body).strip()


def load_rubric(name_or_path: str | Path) -> Rubric:
    """A ready-made rubric by its name, or the one in a file that ends with `.md`.

    Raises:
        GraderError: there is none, or it cannot be used; says where and why.
    """
    text = str(name_or_path)
    if text.endswith(".md"):
        return _read(Path(text))
    known = {path.stem: path for path in READY_MADE.glob("*.md")}
    if text not in known:
        hint = did_you_mean(text, known) or f". There are: {', '.join(sorted(known))}."
        raise GraderError(f'No ready-made rubric "{text}"{hint} A file of your own ends with .md.')
    return _read(known[text])


def ready_made_rubrics() -> list[Rubric]:
    """The rubrics that come with Tuneward, by name; a list or a copy needs `name`, `description` and `path`."""
    return [_read(path) for path in sorted(READY_MADE.glob("*.md"))]


def parse_rubric(text: str, place: str = "judge.rubric_text") -> Rubric:
    """The rubric that a text is.

    Args:
        place: where the text stands, for messages.

    Raises:
        GraderError: it cannot be used; says where and why.
    """
    return _parse(text.encode("utf-8", "surrogatepass"), text, place, "custom", None)


def _read(path: Path) -> Rubric:
    try:
        content = path.read_bytes()
        text = content.decode()
    except FileNotFoundError:
        raise GraderError(f"{path}: no such rubric file. Correct judge.rubric.") from None
    except OSError as error:
        raise GraderError(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        raise GraderError(f"{path}: not UTF-8 text (byte {error.start}).") from None
    return _parse(content, text, str(path), path.stem, path)


def _parse(content: bytes, text: str, place: str, name: str, path: Path | None) -> Rubric:
    text = text.replace("\r\n", "\n").removeprefix("\ufeff")
    found = _FRONT_MATTER.match(text)
    front, body = (found[1], found[2]) if found else ("", text)
    _check_variables(place, body, text.count("\n") - body.count("\n"))
    rubric = Rubric(_header(place, name, front), body, path, text, hashlib.sha256(content).hexdigest())
    declared = rubric.header.variables
    if declared and set(declared) != set(rubric.variables):
        odd = sorted(set(declared) ^ set(rubric.variables))
        raise GraderError(f"{place}: variables and text disagree about {', '.join(odd)}. Name what the text uses.")
    return rubric


def _header(place: str, name: str, front: str) -> Header:
    try:
        tree = yaml.safe_load(front) if front else {}
    except (yaml.YAMLError, ValueError) as error:  # the latter for a date such as 2026-13-45
        raise GraderError(f"{place}: the front matter is not valid YAML: {' '.join(str(error).split())}.") from None
    except RecursionError:
        raise GraderError(f"{place}: the front matter is nested too deeply.") from None
    if not isinstance(tree, dict):
        raise GraderError(f"{place}: the front matter holds no keys and values.")
    try:
        return Header.model_validate({"name": name, **tree})
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        reason = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            reason = f"unknown key{did_you_mean(str(problem['loc'][-1]), Header.model_fields) or '.'}"
        raise GraderError(f"{place}: front matter, {key or 'as a whole'}: {reason.rstrip('.')}.") from None


def _check_variables(place: str, body: str, lines_before: int) -> None:
    names = []
    for found in _BRACES.finditer(body):
        name = found[1].strip()
        if not _VARIABLE.fullmatch(name):
            line = lines_before + body.count("\n", 0, found.start()) + 1
            raise GraderError(f"{place}, line {line}: {found[0]} names no variable. Write it like {{{{prompt}}}}.")
        names.append(name)
    if RESPONSE not in names:
        raise GraderError(f"{place}: the rubric never shows the completion. Put {{{{{RESPONSE}}}}} where it belongs.")


def _rising(scale: Scale) -> Scale:
    if scale[1] <= scale[0]:
        raise ValueError("the highest score must be above the lowest")
    return scale
