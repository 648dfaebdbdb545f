"""How a row's reference becomes the text of an answer that should earn the most.

Datasets hold references in many forms and graders expect answers in as many. So several renderings are tried, the
one that earns most is used, and the report names it. Source: Bedrock RFT contract, 3.5 (a reference must itself
earn the maximum) and 4.6 (the fields and frames in use).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuneward.types import Json, Row

ANSWER_FIELDS = (
    "final_answer", "answer", "text", "label", "expected_output", "expected", "output", "response", "completion",
    "ground_truth", "target", "solution", "summary", "translation", "sentiment", "value", "result", "code",
    "query",
)  # fmt: skip

FRAMES = (
    "#### {}",
    "ANSWER: {}",
    "\\boxed{{}}",
    "<answer>{}</answer>",
    "<think>\n{}\n</think>\n<answer>{}</answer>",
    "```python\n{}\n```",
    "```json\n{}\n```",
    "```sql\n{}\n```",
)
"""What stands around an answer in common formats; `{}` is the answer."""

_CRITERION = re.compile(
    r"^(min|max|must|required|forbidden|starts|ends)_|test|case|assert|pattern|regex|schema|instruction|kwargs|rubric"
    r"|criteri|constraint|keyword"
)
"""Names of fields that hold what an answer is checked by."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """One way from a row to an answer."""

    field: str = ""
    """Field of the reference, or of the metadata when the row has no reference; empty: the whole reference."""
    frame: str = "{}"

    def value(self, row: Row) -> str | None:
        """The bare answer of the row; None when the row does not hold one in this way."""
        if not self.field:
            return None if row.reference_answer is None else _text(row.reference_answer)
        holder = row.metadata if row.reference_answer is None else _object(row.reference_answer)
        value = holder.get(self.field)
        return None if value is None else _text(value)

    def framed(self, value: str) -> str:
        """The answer as the grader should like it."""
        return self.frame.replace("{}", value)

    @property
    def name(self) -> str:
        """For the report, e.g. `the field final_answer as "#### …"`."""
        what = f"the field {self.field}" if self.field else "the reference as it is (objects as JSON)"
        return what if self.frame == "{}" else f'{what}, as "{" ".join(self.frame.replace("{}", "…").split())}"'


def bare_renderings(rows: Sequence[Row]) -> list[Rendering]:
    """The renderings without a frame that at least one row allows; empty when no row has a reference."""
    fields = ("", *ANSWER_FIELDS)
    return [r for r in map(Rendering, fields) if any(r.value(row) is not None for row in rows)]


def framed_renderings(bare: Sequence[Rendering]) -> list[Rendering]:
    return [Rendering(rendering.field, frame) for rendering in bare for frame in FRAMES]


def are_criteria(rows: Sequence[Row]) -> bool:
    """Whether references look like what answers are checked by, such as test cases and limits, not like answers."""
    references = [_object(row.reference_answer) for row in rows if row.reference_answer is not None]
    return any(_CRITERION.search(name) for reference in references for name in reference)


def _object(reference: Json) -> Mapping[str, Json]:
    """The reference as an object; also when it is the JSON text of one."""
    if isinstance(reference, str) and reference.lstrip().startswith("{"):
        try:
            reference = json.loads(reference)
        except (ValueError, RecursionError):
            return {}
    return reference if isinstance(reference, Mapping) else {}


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
