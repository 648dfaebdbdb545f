"""What can be wrong with a dataset: one small value per finding, and a log that stays small however many there are."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from tuneward.types import Json

MAX_PER_LINE = 50
"""Findings kept for one line; a line of megabytes could hold a million."""

MAX_PER_CODE = 1000
"""Findings kept for one code and severity over both files; further ones are counted only."""

SHOWN_CHARACTERS = 40
"""Length at which a value quoted in a message is cut."""


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    """The file cannot be used until this is repaired."""
    WARNING = "warning"
    """Training works, but probably not as meant, or a hosted service would refuse the file."""
    INFO = "info"
    """Worth knowing."""


class Code(StrEnum):
    """Stable names of the findings, for filters and scripts."""

    FILE = "file"
    """The file is missing, empty, a folder, or unreadable."""
    FILE_NAME = "file_name"
    """The name does not end in .jsonl."""
    LINE_TOO_LONG = "line_too_long"
    ENCODING = "encoding"
    """Not UTF-8, a byte order mark, or half of a surrogate pair."""
    JSON = "json"
    """The line is not one JSON object in the strict sense (NaN and Infinity are not JSON)."""
    SCHEMA = "schema"
    """A field is missing or of the wrong type."""
    ROLE = "role"
    EMPTY_CONTENT = "empty_content"
    NON_TEXT = "non_text"
    """Images, audio, files: prompts are text only."""
    ROLE_ORDER = "role_order"
    ENDS_WITH_ANSWER = "ends_with_answer"
    """The last message is the assistant's, so the model would continue after an answer."""
    ROLE_MARKER = "role_marker"
    """Text holds something a template or tokenizer may read as a turn marker (contract P8)."""
    UNUSED_FIELD = "unused_field"
    REFERENCE = "reference"
    """The reference answer is empty, absent, or of a type hosted services refuse."""
    ID = "id"
    """The id is of the wrong type, empty, or used twice."""
    TOOLS = "tools"
    MORE = "more"
    """Further findings on the same line, counted together."""
    TEMPLATE = "template"
    """The model's chat template refuses the row."""
    ROW_COUNT = "row_count"
    """Contract P2 and P3."""
    VALIDATION = "validation"
    """Contract P4: no validation file, or a small one."""
    LEAK = "leak"
    """A validation prompt is also a training prompt."""
    NEAR_LEAK = "near_leak"
    """As `leak`, when letter case and spacing are ignored."""
    DUPLICATE = "duplicate"
    """Contract P5."""
    CONFLICT = "conflict"
    """Contract P7: one prompt, different reference answers."""
    TOO_LONG = "too_long"
    """Contract P6: the prompt has more tokens than allowed, so the row is dropped."""
    UNTRACKED = "untracked"
    """The file is so large that repeated prompts were looked for in its first part only."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding, with its place, its cause and what to do."""

    file: str
    """Path as the caller gave it."""
    line: int
    """1-based; 0 when the finding is about the whole file."""
    field: str
    """Dotted place in the row such as `messages[1].role`; empty for the whole line or file."""
    severity: Severity
    code: Code
    message: str
    """One sentence: what is wrong, and what was expected."""
    fix: str
    """One sentence: what to do."""

    def __str__(self) -> str:
        where = f"{self.file}, line {self.line}" if self.line else self.file
        return f"{where}: {self.message} {self.fix}".rstrip()

    def to_json(self) -> dict[str, Json]:
        """The same as plain values."""
        return {
            "file": self.file,
            "line": self.line,
            "field": self.field,
            "severity": self.severity.value,
            "code": self.code.value,
            "message": self.message,
            "fix": self.fix,
        }


@dataclass(slots=True)
class Findings:
    """Collects the problems of one line; at most `MAX_PER_LINE` are kept."""

    file: str
    line: int
    kept: list[Problem] = field(default_factory=list)
    has_error: bool = False
    left_out: int = 0

    def add(self, severity: Severity, code: Code, place: str, message: str, fix: str = "") -> None:
        """Note a finding at `place`."""
        self.has_error = self.has_error or severity is Severity.ERROR
        if len(self.kept) < MAX_PER_LINE:
            self.kept.append(Problem(self.file, self.line, place, severity, code, message, fix))
        else:
            self.left_out += 1

    def error(self, code: Code, place: str, message: str, fix: str = "") -> None:
        self.add(Severity.ERROR, code, place, message, fix)

    def warn(self, code: Code, place: str, message: str, fix: str = "") -> None:
        self.add(Severity.WARNING, code, place, message, fix)

    def inform(self, code: Code, place: str, message: str, fix: str = "") -> None:
        self.add(Severity.INFO, code, place, message, fix)

    def problems(self) -> list[Problem]:
        """What was kept, and one line for what was not."""
        if not self.left_out:
            return self.kept
        severity = Severity.ERROR if self.has_error else Severity.INFO
        text = f"{self.left_out} further problems on this line are not listed."
        return [
            *self.kept,
            Problem(self.file, self.line, "", severity, Code.MORE, text, "Repair the listed ones first."),
        ]


@dataclass(slots=True)
class ProblemLog:
    """Counts every problem; keeps those about a whole file, and the first `MAX_PER_CODE` of each code and severity."""

    kept: list[Problem] = field(default_factory=list)
    counts: Counter[tuple[Severity, Code]] = field(default_factory=Counter)

    def add(self, problem: Problem) -> None:
        self.counts[problem.severity, problem.code] += 1
        if not problem.line or self.counts[problem.severity, problem.code] <= MAX_PER_CODE:
            self.kept.append(problem)

    def count(self, severity: Severity) -> int:
        """Problems of one severity, the ones not kept included."""
        return sum(n for (found, _), n in self.counts.items() if found is severity)


def shown(value: Json) -> str:
    """A value as a message quotes it: JSON for scalars, cut when long; a name for arrays and objects."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array" if value else "an empty array"
    if isinstance(value, str) and len(value) > SHOWN_CHARACTERS:
        return json.dumps(value[:SHOWN_CHARACTERS], ensure_ascii=False)[:-1] + '…"'
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 2 * SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"
