"""From a request that may be incomplete to what its job would take; what is missing is assumed, and said."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tuneward.config import Config, SupervisedConfig, parse_config, parse_section
from tuneward.errors import ConfigError, ModelError
from tuneward.jobs.past_speed import past_speed
from tuneward.jobs.spec import FileSource, Source
from tuneward.models.facts import find_here
from tuneward.serve.api.job_request import JobDraft, check_source
from tuneward.serve.context import context_length
from tuneward.serve.job_parts.config import sections_of
from tuneward.serve.job_parts.model import starting_model
from tuneward.serve.services import Services

if TYPE_CHECKING:  # a server answers before it has loaded torch
    from tuneward.runs.forecast import MemoryForecast, Work
    from tuneward.runs.row_facts import RowFacts
    from tuneward.runs.time_forecast import TimeForecast
    from tuneward.serve.api.forecast import KnownRows

ASSUMED_ROWS = 1000
ASSUMED_ANSWER = 256
"""Tokens of a conversation's answer."""


@dataclass
class Outlook:
    """See `serve.api.forecast.Forecast`."""

    model: str | None = None
    work: dict[str, int] | None = None
    memory: dict[str, Any] | None = None
    time: TimeForecast | None = None
    disk: dict[str, Any] | None = None
    assumptions: list[str] = field(default_factory=list)
    problem: str | None = None


def outlook(draft: JobDraft, known: KnownRows | None, services: Services, project_id: str) -> Outlook:
    """What the job of a request would take.

    Raises:
        InvalidRequestError: a setting out of range, or a file that is not there.
        ObjectNotFoundError: no such model.
    """
    told = Outlook(model=draft.model)
    name = draft.model
    if name is None:
        name = next((base.id for base in services.directory), None)
        if name is None:
            told.problem = "This server has no models; add one to its configuration."
            return told
        told.model = name
        told.assumptions.append(f"No model is chosen yet: {name} is assumed.")
    base_id, start_from = starting_model(name, services, project_id)
    base = services.directory.find(base_id)
    sections = sections_of(draft.method, draft.config, services, project_id, context_length(base.local))
    for source, param in ((draft.training, "training"), (draft.validation, "validation")):
        if source is not None:
            check_source(source, param, services, project_id)
    try:
        folder = find_here(base.local)
        if folder is None:
            told.problem = f"{base_id} is not on this machine yet; it is fetched when it is first used."
            return told
        start = None if start_from is None else services.home / start_from
        _foresee(told, draft, known, _config(draft, sections, base.local, start), folder, services, project_id)
    except (ModelError, ConfigError) as error:
        told.problem = str(error)
    return told


def _config(draft: JobDraft, sections: dict[str, Any], model: str, start: Path | None) -> Config | SupervisedConfig:
    tree = {**sections, "model": model, "data": {**sections.get("data", {}), "train": "train.jsonl"}}
    if start is not None:
        tree["lora"] = {**sections.get("lora", {}), "init_from": str(start)}
    if draft.method == "supervised":
        return parse_section(SupervisedConfig, tree)
    # Nothing that is told here depends on the reward, which may be missing yet.
    return parse_config({"reward": {"template": "math_answer"}, **tree})


def _foresee(
    told: Outlook,
    draft: JobDraft,
    known: KnownRows | None,
    config: Config | SupervisedConfig,
    folder: Path,
    services: Services,
    project_id: str,
) -> None:
    from tuneward.runs.forecast import disk_of, memory_of, shape_of, work_of
    from tuneward.runs.time_forecast import time_of

    rows = _Rows(config, folder, services, project_id, told.assumptions)
    train = rows.training(draft.training, known)
    validation = rows.validation(draft.validation, known)
    base_id = starting_model(told.model or "", services, project_id)[0]
    past = services.database.read(lambda session: past_speed(session, project_id, base_id, draft.method))
    work = work_of(config, train, validation, length=past.length if past else None)
    shape = shape_of(folder, config.model, config.lora)
    told.work = _work(work)
    told.memory = _memory(memory_of(config, folder, work, train, validation), config.model)
    told.time = time_of(work, shape, past)
    parts = disk_of(config, shape, work)
    needed, free = sum(parts.values()), shutil.disk_usage(services.home).free
    named = [{"name": name, "bytes": count} for name, count in sorted(parts.items(), key=lambda part: -part[1])]
    told.disk = {"bytes": needed, "parts": named, "free_bytes": free, "fits": needed < free}


class _Rows:
    """Sizes of the rows that a job reads, or what is assumed of them."""

    def __init__(
        self,
        config: Config | SupervisedConfig,
        folder: Path,
        services: Services,
        project_id: str,
        assumptions: list[str],
    ):
        self._config, self._folder, self._services, self._project_id = config, folder, services, project_id
        self._assumptions = assumptions
        self._is_counted = False
        """The training rows are known from their file, so that what is to be held out of them is, too."""

    def training(self, source: Source | None, known: KnownRows | None) -> RowFacts:
        found = self._measured(source)
        self._is_counted = found is not None
        if found is None and known is not None:
            return self._told(known.training, known)
        if found is None:
            why = "No training data is chosen yet" if source is None else "The training rows are not counted yet"
            self._assumptions.append(f"{why}: {ASSUMED_ROWS:,} rows of the longest allowed length are assumed.")
            return self._told(ASSUMED_ROWS, None)
        if not found.is_exact:
            self._assumptions.append(f"The file is large: its first part was counted, {found.count:,} rows in all.")
        return found

    def validation(self, source: Source | None, known: KnownRows | None) -> RowFacts | None:
        if source is None:
            return (
                None
                if self._is_counted or known is None or known.validation is None
                else self._told(known.validation, known)
            )
        found = self._measured(source)
        if found is None and known is not None and known.validation is not None:
            return self._told(known.validation, known)
        if found is None:
            most = self._config.evaluation.max_rows
            self._assumptions.append(f"The validation rows are not counted yet: {most:,} are assumed.")
            return self._told(most, None)
        return found

    def _measured(self, source: Source | None) -> RowFacts | None:
        from tuneward.runs.row_facts import read_facts

        if not isinstance(source, FileSource):
            return None
        path = self._services.files.path(self._project_id, source.file_id)
        is_supervised = isinstance(self._config, SupervisedConfig)
        try:
            found = read_facts(path, path.stat().st_mtime_ns, self._folder, is_supervised=is_supervised)
        except OSError:
            found = None
        if found is None:
            self._assumptions.append(f"No row of {source.file_id} can be read; see the data step.")
        return found

    def _told(self, count: int, known: KnownRows | None) -> RowFacts:
        from tuneward.runs.row_facts import RowFacts

        if isinstance(self._config, SupervisedConfig):
            longest = max(1, self._config.data.max_row_tokens - ASSUMED_ANSWER)
            answer = ASSUMED_ANSWER
        else:
            longest, answer = self._config.data.max_prompt_length, 0
        if known is not None and known.longest_prompt is not None:
            longest = known.longest_prompt
        mean = known.mean_prompt if known is not None and known.mean_prompt is not None else float(longest)
        return RowFacts(count, min(mean, longest), longest, answer, answer)


def _work(work: Work) -> dict[str, int]:
    return {
        "train_rows": work.train_rows,
        "validation_rows": work.validation_rows,
        "steps": work.steps,
        "evaluations": work.evaluations,
        "completions": work.steps * work.rows_per_step * work.samples_per_prompt,
        "step_tokens": round(work.step_tokens),
        "trained_tokens": round(work.trained_tokens),
    }


def _memory(memory: MemoryForecast, model: str) -> dict[str, Any]:
    phase = memory.plan.peak_phase
    parts = sorted(memory.plan.phases[phase].items(), key=lambda part: -part[1])
    fits: Literal["yes", "later", "no"] = "yes" if memory.fits_now else "later" if memory.fits else "no"
    return {
        "device": "GPU" if memory.is_on_gpu else "CPU",
        "peak_bytes": memory.plan.peak_bytes,
        "peak_phase": phase,
        "parts": [{"name": name, "bytes": count} for name, count in parts],
        "limit_bytes": memory.limit_bytes,
        "free_bytes": memory.free_bytes,
        "fits": fits,
        "problem": _problem(memory, fits, model),
        "changes": memory.changes,
    }


def _problem(memory: MemoryForecast, fits: Literal["yes", "later", "no"], model: str) -> str | None:
    if fits == "yes":
        return None
    needs = f"{model} needs {memory.plan.peak_bytes / 2**30:.1f} GiB for this job"
    if fits == "later":
        free = (memory.free_bytes or 0) / 2**30
        return f"{needs}, and {free:.1f} GiB are free now. It can start when what runs now has ended."
    have = f"{needs}, and {(memory.limit_bytes or 0) / 2**30:.1f} GiB may be taken here."
    if not memory.changes:
        return f"{have} No setting helps: use a smaller model, or a machine with more memory."
    ways = ", or ".join(f"{change.setting} to at most {change.value}" for change in memory.changes)
    return f"{have} Set {ways}."
