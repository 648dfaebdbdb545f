"""Ready-made rules: each file here is a whole reward function, used by name or copied and edited."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tuneward.config import GraderConfig
from tuneward.errors import GraderError, did_you_mean
from tuneward.rewards.lambda_file import LambdaFileGrader

FOLDER = Path(__file__).parent

DEAR_CALLS: dict[str, dict[str, float]] = {"code_tests": {"batch_size": 8, "timeout_s": 300}}
"""Templates whose samples take long → limits that suit them, unless the configuration gives its own."""


_ROW_FIELD = re.compile(r'field_of\(sample, "(\w+)"\)')


@dataclass(frozen=True, slots=True)
class Setting:
    """One constant of a template, with what it means."""

    name: str
    value: str
    """As it stands in the file."""
    meaning: str


@dataclass(frozen=True, slots=True)
class Template:
    """One ready-made reward function."""

    name: str
    """As in `reward.template`; the file's name without `.py`."""
    path: Path

    @property
    def documentation(self) -> str:
        """The file's docstring: what it scores, the rows it expects, what it cannot see."""
        return ast.get_docstring(ast.parse(self.path.read_bytes())) or ""

    @property
    def description(self) -> str:
        """First line of the documentation."""
        return self.documentation.partition("\n")[0]

    @property
    def source(self) -> str:
        """The file."""
        return self.path.read_text(encoding="utf-8")

    @property
    def row_fields(self) -> tuple[str, ...]:
        """Fields that it looks for in rows."""
        return tuple(dict.fromkeys(_ROW_FIELD.findall(self.source)))

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Constants at the top of the file that are there to be changed in a copy."""
        body = ast.parse(self.path.read_bytes()).body
        return tuple(_settings(body))


def ready_made_templates() -> tuple[Template, ...]:
    """Every template, by name."""
    return tuple(Template(path.stem, path) for path in sorted(FOLDER.glob("[a-z]*.py")))


def _settings(body: Sequence[ast.stmt]) -> Iterator[Setting]:
    """Assignments of a constant that are followed by a text about it."""
    for statement, following in itertools.pairwise(body):
        match statement, following:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value),
                ast.Expr(value=ast.Constant(value=str(meaning))),
            ):
                yield Setting(name, ast.unparse(value), " ".join(meaning.split()))


def find_template(name: str) -> Template:
    """The template of this name.

    Raises:
        GraderError: there is none.
    """
    names = [template.name for template in ready_made_templates()]
    if name not in names:
        near = did_you_mean(name, names) or "."
        raise GraderError(f'no ready-made reward is called "{name}"{near} `tuneward rewards list` shows them all.')
    return Template(name, FOLDER / f"{name}.py")


def build(config: GraderConfig) -> LambdaFileGrader:
    """The grader of `reward.template`: the packaged file, called as a file of one's own is.

    Raises:
        GraderError: there is no such template, or it does not load.
    """
    assert config.template is not None
    template = find_template(config.template)
    limits = {
        name: value for name, value in DEAR_CALLS.get(template.name, {}).items() if name not in config.model_fields_set
    }
    return LambdaFileGrader(config.model_copy(update={"file": template.path, **limits}))
