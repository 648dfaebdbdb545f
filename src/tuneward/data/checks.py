"""Validation of whole files: what only shows when rows are seen together. Rules P1 … P8 of the Bedrock RFT contract."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tuneward.data.keys import digest, loose_prompt_digest, prompt_digest
from tuneward.data.lengths import LengthCounter
from tuneward.data.lines import MAX_LINE_BYTES
from tuneward.data.problems import Code, Problem, ProblemLog, Severity
from tuneward.data.reader import MAX_TRACKED_ROWS
from tuneward.data.report import MIN_ROWS, DataReport, FileReport
from tuneward.data.row_kinds import PROMPTS, RowKind
from tuneward.errors import TunewardError
from tuneward.types import Row

DUPLICATE_SHARE = 0.01
"""Repeated prompts above this share are worth a warning (contract P5)."""

TOO_LONG_SHARE = 0.05
"""Dropped rows above this share are worth a warning (contract P6)."""

TokenCounter = Callable[[Row], int]
"""Prompt length of a row in tokens; may raise TunewardError or ValueError when it cannot be rendered."""


@dataclass(slots=True)
class PromptIndex:
    """The prompts of one file as digests: at most 100,000 of them, whatever the file's size."""

    first: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    """Prompt digest → (line, digest of the reference answer) of its first row."""
    loose: set[bytes] = field(default_factory=set)

    @property
    def is_full(self) -> bool:
        return len(self.first) >= MAX_TRACKED_ROWS


@dataclass(slots=True)
class _FileCheck:
    """One file on its way through: counts, digests and lengths."""

    path: Path
    kind: RowKind
    log: ProblemLog
    count_tokens: TokenCounter | None
    max_prompt_length: int
    index: PromptIndex = field(default_factory=PromptIndex)
    lengths: LengthCounter = field(default_factory=LengthCounter)
    rows: int = 0
    bad_lines: int = 0
    too_long: int = 0
    duplicates: int = 0
    conflicts: int = 0
    without_reference: int = 0
    leaks: int = 0
    near_leaks: int = 0

    def run(self, max_line_bytes: int, train: PromptIndex | None = None) -> None:
        """Stream the file; `train` holds the prompts in which a validation prompt counts as a leak."""
        last_bad_line = 0
        for item in self.kind.read(self.path, max_line_bytes):
            if isinstance(item, Problem):
                self.log.add(item)
                if item.severity is Severity.ERROR and item.line != last_bad_line:
                    last_bad_line = item.line
                    self.bad_lines += 1
            elif self._measure(item):
                self.rows += 1
                self.without_reference += item.reference_answer is None
                self._compare(item, train)
            else:
                self.bad_lines += 1

    def note(self, line: int, place: str, severity: Severity, code: Code, message: str, fix: str) -> None:
        self.log.add(Problem(str(self.path), line, place, severity, code, message, fix))

    def _measure(self, row: Row) -> bool:
        """Count the row's tokens; False when the chat template refuses it."""
        if self.count_tokens is None:
            return True
        try:
            tokens = self.count_tokens(row)
        except (TunewardError, ValueError) as error:
            reason = " ".join(str(error).split())[:300].rstrip(".")
            message = f"the {self.kind.noun} cannot be rendered: {reason}."
            self.note(row.line, "messages", Severity.ERROR, Code.TEMPLATE, message, "Change the messages of this row.")
            return False
        self.lengths.add(tokens)
        if tokens > self.max_prompt_length:
            self.too_long += 1
            message = (
                f"the {self.kind.noun} has {tokens:,} tokens, more than {self.max_prompt_length:,}; the row is dropped."
            )
            fix = f"Shorten it, or raise data.{self.kind.limit_field}."
            self.note(row.line, "messages", Severity.INFO, Code.TOO_LONG, message, fix)
        return True

    def _compare(self, row: Row, train: PromptIndex | None) -> None:
        prompt, reference = prompt_digest(row), digest(row.reference_answer)
        loose = loose_prompt_digest(row)
        if train is not None:
            self._look_for_leak(row, prompt, loose, train)
        earlier = self.index.first.get(prompt)
        if earlier is None:
            if not self.index.is_full:
                self.index.first[prompt] = (row.line, reference)
                self.index.loose.add(loose)
            return
        self.duplicates += 1
        line, first_reference = earlier
        if reference != first_reference:
            self.conflicts += 1
            message = f"the prompt is that of line {line}, but reference_answer differs."
            fix = "Keep the right one; rewards that contradict each other teach nothing."
            self.note(row.line, "reference_answer", Severity.WARNING, Code.CONFLICT, message, fix)
        else:
            message = f"the prompt is that of line {line}."
            self.note(row.line, "messages", Severity.INFO, Code.DUPLICATE, message, "Remove one of the two.")

    def _look_for_leak(self, row: Row, prompt: bytes, loose: bytes, train: PromptIndex) -> None:
        fix = "Remove it from one of the files, or the validation reward measures memory."
        if prompt in train.first:
            self.leaks += 1
            message = f"the prompt is also in line {train.first[prompt][0]} of the training file."
            self.note(row.line, "messages", Severity.WARNING, Code.LEAK, message, fix)
        elif loose in train.loose:
            self.near_leaks += 1
            message = "letter case and spacing aside, the prompt is also in the training file."
            self.note(row.line, "messages", Severity.WARNING, Code.NEAR_LEAK, message, fix)

    def report(self) -> FileReport:
        return FileReport(
            path=str(self.path),
            rows=self.rows,
            bad_lines=self.bad_lines,
            too_long=self.too_long,
            duplicates=self.duplicates,
            conflicts=self.conflicts,
            without_reference=self.without_reference,
            lengths=self.lengths.summary(),
        )


def validate(
    train: Path,
    validation: Path | None = None,
    *,
    count_tokens: TokenCounter | None,
    max_prompt_length: int,
    max_line_bytes: int = MAX_LINE_BYTES,
    kind: RowKind = PROMPTS,
) -> DataReport:
    """Check a training file, and a validation file against it, in one pass each.

    Memory does not grow with the files beyond digests of at most 100,000 prompts each, and a few thousand problems.

    Args:
        train: JSONL of training rows.
        validation: JSONL of validation rows; None when a part of the training rows is to be held out.
        count_tokens: prompt length of a row in tokens; None leaves lengths unchecked. A TunewardError or
            ValueError it raises becomes a problem of that row.
        max_prompt_length: tokens; longer prompts are reported as dropped.
        max_line_bytes: longest accepted line.
        kind: prompts, or conversations, whose whole length counts then.

    Returns:
        The report. Broken files are findings in it, never exceptions.
    """
    log = ProblemLog()
    training = _FileCheck(train, kind, log, count_tokens, max_prompt_length)
    training.run(max_line_bytes)
    held_out = None
    if validation is not None:
        held_out = _FileCheck(validation, kind, log, count_tokens, max_prompt_length)
        held_out.run(max_line_bytes, training.index)
    _check_sizes(training, held_out)
    _check_shares(training, is_training=True)
    if held_out is not None:
        _check_shares(held_out, is_training=False)
    order = {severity: rank for rank, severity in enumerate(Severity)}
    return DataReport(
        train=training.report(),
        validation=None if held_out is None else held_out.report(),
        max_prompt_length=max_prompt_length,
        leaks=0 if held_out is None else held_out.leaks,
        near_leaks=0 if held_out is None else held_out.near_leaks,
        problems=tuple(sorted(log.kept, key=lambda problem: order[problem.severity])),
        counts=dict(log.counts),
    )


def _check_sizes(training: _FileCheck, held_out: _FileCheck | None) -> None:
    """Rules P2, P3, P4 and the part of P6 about what is left."""
    rows = training.rows
    total = rows + (held_out.rows if held_out else 0)

    def note(severity: Severity, code: Code, message: str, fix: str) -> None:
        training.note(0, "", severity, code, message, fix)

    if total > training.kind.max_rows:
        note(
            Severity.ERROR,
            Code.ROW_COUNT,
            f"{total:,} rows, training and validation together; at most {training.kind.max_rows:,} are taken.",
            "Train on a sample of them; a few thousand varied rows are usually enough.",
        )
    elif 0 < rows < MIN_ROWS:
        text = f"{rows} rows are enough for a trial only; hosted services ask for at least {MIN_ROWS}."
        note(Severity.WARNING, Code.ROW_COUNT, text, "Add rows before you rely on the result.")
    elif MIN_ROWS <= rows < 200:
        note(Severity.INFO, Code.ROW_COUNT, f"{rows} rows are a pilot.", "200 to 5,000 are typical.")
    elif rows > 10_000:
        text = f"{rows:,} rows are more than complex tasks usually need (5,000 to 10,000)."
        note(Severity.INFO, Code.ROW_COUNT, text, "Try a sample first.")
    if training.kind.has_reference and training.without_reference and rows:
        text = f"{training.without_reference:,} of {rows:,} rows have no reference_answer."
        note(Severity.INFO, Code.REFERENCE, text, "That is fine if the reward function does without it.")
    if held_out is None:
        text = "there is no validation file, so a part of these rows will be held out."
        note(Severity.INFO, Code.VALIDATION, text, "Give one to compare runs on the same rows.")
    elif 0 < held_out.rows < MIN_ROWS:
        text = f"{held_out.rows} validation rows; below {MIN_ROWS} the validation reward is noisy."
        held_out.note(0, "", Severity.INFO, Code.VALIDATION, text, "Add rows if you can.")


def _check_shares(check: _FileCheck, *, is_training: bool) -> None:
    """Rules P5 and P6, and what could not be tracked."""
    rows = check.rows
    if check.duplicates > DUPLICATE_SHARE * rows:
        text = f"{check.duplicates:,} of {rows:,} rows repeat an earlier prompt ({check.duplicates / rows:.1%})."
        check.note(0, "", Severity.WARNING, Code.DUPLICATE, text, "Remove the repetitions; they count as extra epochs.")
    if check.index.is_full:
        text = f"repetitions were looked for among the first {MAX_TRACKED_ROWS:,} different prompts only."
        check.note(0, "", Severity.INFO, Code.UNTRACKED, text, "")
    if not check.too_long:
        return
    left = rows - check.too_long
    leaves_too_few = is_training and left < MIN_ROWS
    text = (
        f"{check.too_long:,} of {rows:,} {check.kind.noun}s have more than {check.max_prompt_length:,} tokens "
        f"and are dropped ({check.too_long / rows:.1%}); {left:,} are left"
        f"{f', fewer than {MIN_ROWS}' if leaves_too_few else ''}."
    )
    fix = f"Raise data.{check.kind.limit_field}, or shorten the {check.kind.noun}s."
    if not left:
        check.note(0, "", Severity.ERROR, Code.TOO_LONG, text, fix)
    elif leaves_too_few or check.too_long > TOO_LONG_SHARE * rows:
        check.note(0, "", Severity.WARNING, Code.TOO_LONG, text, fix)
