"""What a bench found: one finding per check, with the offending example."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tuneward.types import Json

SHOWN_CHARACTERS = 160


class Outcome(StrEnum):
    """How a check ended."""

    PASS = "pass"
    WARN = "warn"
    """Training is possible, but the reward is not what it seems; look at the example."""
    FAIL = "fail"
    """Training on this would be meaningless: a job does not start."""
    SKIPPED = "not applicable"
    """The rows or the grader do not allow the check; the message says why."""


@dataclass(frozen=True, slots=True)
class Example:
    """One sample that shows the finding, and the score that it stands against."""

    row_id: str
    completion: str
    score: float
    """NaN: it could not be scored."""
    against: str = ""
    """What has the other score, such as `the reference "56" earns`; empty when there is none."""
    against_score: float = math.nan

    def sentence(self) -> str:
        """The example on one line."""
        text = f"row {self.row_id}: {quoted(self.completion)} earns {shown(self.score)}"
        return f"{text}, {self.against} {shown(self.against_score)}" if self.against else text

    def to_json(self) -> dict[str, Json]:
        return {
            "row_id": self.row_id,
            "completion": shortened(self.completion),
            "score": _finite(self.score),
            "against": self.against or None,
            "against_score": _finite(self.against_score),
        }


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check."""

    outcome: Outcome
    message: str
    """What was seen, one sentence."""
    advice: str = ""
    """What to do; empty when there is nothing to do."""
    example: Example | None = None

    def to_json(self) -> dict[str, Json]:
        return {
            "verdict": str(self.outcome),
            "message": self.message,
            "advice": self.advice or None,
            "example": self.example.to_json() if self.example else None,
        }


def passed(message: str) -> Finding:
    return Finding(Outcome.PASS, message)


def warned(message: str, advice: str, example: Example | None = None) -> Finding:
    return Finding(Outcome.WARN, message, advice, example)


def failed(message: str, advice: str, example: Example | None = None) -> Finding:
    return Finding(Outcome.FAIL, message, advice, example)


def skipped(message: str) -> Finding:
    return Finding(Outcome.SKIPPED, message)


@dataclass(frozen=True, slots=True)
class BenchReport:
    """All findings about one grader."""

    grader: str
    """Name and content hash, as in receipts."""
    rows: int
    """Rows the grader was asked about."""
    scored: int
    """Samples sent to the grader, all checks together."""
    seconds: float
    rendering: str
    """How references became answers; empty without references."""
    findings: Mapping[str, Finding] = field(default_factory=dict)
    """Check → finding, in the order of the checks."""

    def having(self, outcome: Outcome) -> dict[str, Finding]:
        """The findings with this outcome."""
        return {check: finding for check, finding in self.findings.items() if finding.outcome is outcome}

    @property
    def has_failed(self) -> bool:
        return bool(self.having(Outcome.FAIL))

    @property
    def is_clean(self) -> bool:
        """No failure and no warning."""
        return not self.has_failed and not self.having(Outcome.WARN)

    def to_json(self) -> dict[str, Json]:
        """The report as plain JSON values; numbers that are not finite become null."""
        return {
            "grader": self.grader,
            "rows": self.rows,
            "scored": self.scored,
            "seconds": round(self.seconds, 3),
            "rendering": self.rendering or None,
            "verdict": str(self._verdict),
            "checks": [{"check": check, **finding.to_json()} for check, finding in self.findings.items()],
        }

    @property
    def _verdict(self) -> Outcome:
        if self.has_failed:
            return Outcome.FAIL
        return Outcome.PASS if self.is_clean else Outcome.WARN


def shortened(text: str) -> str:
    """One line of bounded length that any file and any terminal can hold: completions may bring control sequences."""
    line = " ".join(text[: 4 * SHOWN_CHARACTERS].split())
    line = "".join(character if character.isprintable() else "\ufffd" for character in line)
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}…"


def quoted(text: str) -> str:
    return f'"{shortened(text)}"' if text else "an empty answer"


def shown(score: float) -> str:
    return "no score" if math.isnan(score) else f"{score:.4g}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
