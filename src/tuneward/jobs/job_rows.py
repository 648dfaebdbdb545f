"""The rows of a job as people look at them: a page at a time, of the training or the validation set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from tuneward.config.job import DataConfig, RunConfig
from tuneward.data.keys import loose_prompt_digest
from tuneward.data.lines import MAX_LINE_BYTES, iter_lines
from tuneward.data.problems import Findings
from tuneward.data.row_kinds import CONVERSATIONS, PROMPTS
from tuneward.data.schema import parse_row
from tuneward.data.split import choose_held_out
from tuneward.data.strict_json import decode_object
from tuneward.errors import DataError
from tuneward.jobs.inputs import inputs_of
from tuneward.jobs.places import job_home
from tuneward.jobs.problems import ConflictError
from tuneward.jobs.spec import JobSpec
from tuneward.store.tables import Job
from tuneward.types import Row

Split = Literal["training", "validation"]

PAGE_BYTES = 1 << 20
"""A page ends when its lines have so many bytes together, however few they are."""


@dataclass(frozen=True, slots=True)
class RowPage:
    """Part of a set."""

    rows: tuple[Row, ...]
    next_line: int | None
    """Where the next page begins: after this line; None when there is none."""


def rows_page(
    job: Job, home: Path, split: Split, *, after_line: int = 0, search: str | None = None, limit: int = 20
) -> RowPage:
    """A page of a job's rows, in the order of the file. Memory: one page, and a line.

    Args:
        job: whose rows.
        home: of the server.
        split: which set; a job without validation rows of its own holds some of the training rows out.
        after_line: line of the last row of the page before.
        search: part of a row's id, messages or reference answer; letter case does not matter.
        limit: rows at most.

    Raises:
        ConflictError: the rows were not fetched yet, or are gone, or cannot be split.
    """
    spec = JobSpec.model_validate(job.spec)
    inputs = inputs_of(spec, job_home(home, job.project_id, job.id) / "inputs")
    path = inputs.validation if split == "validation" and inputs.validation is not None else inputs.train
    try:
        held_out = _held_out(spec, inputs.train) if inputs.validation is None else None
        found: list[Row] = []
        size = 0
        for line, raw in _lines(path, after_line):
            if held_out is not None and (line in held_out) != (split == "validation"):
                continue
            row = _row(path, line, raw, search)
            if row is None:
                continue
            if found and (len(found) >= limit or size + len(raw) > PAGE_BYTES):
                return RowPage(tuple(found), found[-1].line)
            found.append(row)
            size += len(raw)
        return RowPage(tuple(found), None)
    except OSError:
        raise ConflictError(
            f"The rows of job {job.name} are not on this server: they are fetched when the job is validated, and go "
            "with its folder.",
            code="rows_missing",
        ) from None


def _lines(path: Path, after_line: int) -> Iterator[tuple[int, bytes]]:
    for line in iter_lines(path):
        if line.number > after_line and line.raw is not None and line.raw.strip():
            yield line.number, line.raw


def _row(path: Path, line: int, raw: bytes, search: str | None) -> Row | None:
    """The row of a line; None for one that training would refuse, or that is not looked for."""
    findings = Findings(path.name, line)
    data = decode_object(raw, findings)
    row = None if data is None else parse_row(data, findings)
    return None if row is None or (search and search.casefold() not in _text(row).casefold()) else row


def _text(row: Row) -> str:
    reference = row.reference_answer
    told = reference if isinstance(reference, str) else json.dumps(reference, ensure_ascii=False)
    return "\n".join([row.id, *(message["content"] for message in row.messages), told])


def _held_out(spec: JobSpec, path: Path) -> frozenset[int]:
    """Lines of the training file that are held out, chosen as a run chooses them."""
    default = DataConfig.model_fields["holdout_share"].default  # the same of supervised runs
    share = spec.config.get("data", {}).get("holdout_share", default)
    seed = spec.config.get("run", {}).get("seed", RunConfig.model_fields["seed"].default)
    changed = path.stat()
    return _split(path, (changed.st_mtime_ns, changed.st_size), spec.method == "supervised", share, seed)


@lru_cache(64)
def _split(path: Path, _version: tuple[int, int], is_supervised: bool, share: float, seed: int) -> frozenset[int]:
    kind = CONVERSATIONS if is_supervised else PROMPTS
    rows = (item for item in kind.read(path, MAX_LINE_BYTES) if isinstance(item, Row))
    found = [(row.line, loose_prompt_digest(row)) for row in rows]
    try:
        held_out = choose_held_out([digest for _, digest in found], share, seed)
    except DataError as error:
        raise ConflictError(str(error), code="rows_unreadable") from None
    return frozenset(found[index][0] for index in held_out)
