"""Validation: whatever can be found wrong with a job before it waits for a slot."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from sqlalchemy.orm import Session

from tuneward.config import Config, SupervisedConfig
from tuneward.data import Code, DataReport, Problem
from tuneward.data.checks import validate as validate_rows
from tuneward.data.problems import Severity
from tuneward.data.row_kinds import CONVERSATIONS
from tuneward.engine.planner import GIB, require_budgets
from tuneward.errors import (
    ConfigError,
    DataError,
    GraderError,
    ModelError,
    PassingDataError,
    StoreError,
    TunewardError,
)
from tuneward.jobs.inputs import Inputs, fetch, name_of
from tuneward.jobs.journal import tell
from tuneward.jobs.phases import begin_phase, end_phases
from tuneward.jobs.process.configure import build_config
from tuneward.jobs.process.context import AskedToEndError, JobContext, JobFailedError
from tuneward.jobs.process.failures import without_paths
from tuneward.jobs.queue import give_back
from tuneward.jobs.row_report import save_row_report, without_path
from tuneward.jobs.service import enter
from tuneward.models.chat import ChatTokenizer
from tuneward.models.load import default_device, set_threads
from tuneward.models.memory import total_memory_bytes
from tuneward.models.resolve import resolve
from tuneward.records import Record
from tuneward.rewards import open_graders
from tuneward.runs.lessons import load_lessons
from tuneward.runs.plan import describe_job
from tuneward.runs.prepare import Prompts, check_data, load_prompts
from tuneward.runs.reward_check import check_reward
from tuneward.store.tables import Job
from tuneward.types import Row

NAMED_LINES = 5
"""Bad lines that a failure names."""
TOLD_WARNINGS = 10
"""Warnings about rows that become events."""


def validate(context: JobContext) -> None:
    """Check a job and put it into the queue.

    Raises:
        JobFailedError: the job cannot be carried out as it is.
        AskedToEndError, LeaseLostError, StoreError: the job stays as it is.
    """
    spec = context.spec
    validation = ", ".join(name_of(source) for source in spec.validation)
    names = f"training file: {name_of(spec.training)}" + (f" and validation file: {validation}" if validation else "")
    context.journal.event("validating", f"Validating {names}")
    context.journal.write(lambda _session, job: begin_phase(job, "validation"))

    inputs = _fetch(context)
    context.stop_if_asked()
    try:
        config = build_config(context, inputs)
    except ConfigError as error:
        raise JobFailedError("invalid_hyperparameters", str(error), "method") from None
    model = _resolve(config)
    set_threads(config.threads)
    tokenizer = ChatTokenizer.load(model)
    context.stop_if_asked()
    if isinstance(config, SupervisedConfig):
        _check_lessons(context, config, inputs, tokenizer)
    else:
        _check_rows(context, config, inputs, tokenizer)
        prompts = load_prompts(config, tokenizer)
        _check_memory(config, prompts, model)
        context.stop_if_asked()
        _check_reward(context, config, prompts)
    context.stop_if_asked()
    if spec.output_uri is not None:
        try:
            context.objects.probe_write(spec.output_uri)
        except DataError as error:
            raise JobFailedError("output_not_writable", str(error), "output_data") from None
    _hand_over(context)


def _hand_over(context: JobContext) -> None:
    def work(session: Session, job: Job) -> None:
        end_phases(job)
        job.attempts = 0
        enter(session, job, "queued")
        tell(session, job, "validated", "Files validated, moving job to queued state")
        give_back(session, job)

    context.journal.write(work)


def _fetch(context: JobContext) -> Inputs:
    spec = context.spec

    def wait(seconds: float, error: PassingDataError) -> None:
        context.journal.event("input_retried", f"Rows could not be fetched yet: {error}", level="warn")
        context.asked.wait(seconds)
        context.stop_if_asked()

    try:
        return fetch(
            spec,
            context.home / "inputs",
            project_id=context.project_id,
            files=context.files,
            objects=context.objects,
            note=lambda text: context.journal.event("converted", text, key=f"converted {text}"),
            wait=wait,
        )
    except (AskedToEndError, StoreError):  # nothing is wrong with the source
        raise
    except TunewardError as error:
        of_validation = any(name_of(source) in str(error) for source in spec.validation)
        of_training = name_of(spec.training) in str(error)
        which = "validation_file" if of_validation and not of_training else "training_file"
        raise JobFailedError(f"invalid_{which}", str(error), which) from None


def _resolve(config: Config | SupervisedConfig) -> Path:
    try:
        return resolve(config.model)
    except ModelError as error:
        raise JobFailedError("model_not_available", str(error), "model") from None


def _check_rows(context: JobContext, config: Config, inputs: Inputs, tokenizer: ChatTokenizer) -> None:
    report = check_data(config, tokenizer)
    _keep_report(context, report, inputs)
    train = report.train
    rows = f"{train.usable} training rows"
    if report.validation is not None:
        rows += f", {report.validation.usable} validation rows"
    left_out = train.too_long + (report.validation.too_long if report.validation else 0)
    if left_out:
        rows += f"; {left_out} longer than {report.max_prompt_length} tokens are left out"
    context.journal.event("data", f"Data: {rows}", data={"train": without_path(train)})


def _keep_report(context: JobContext, report: DataReport, inputs: Inputs) -> None:
    """Raises JobFailedError when the report has errors."""
    save_row_report(context.home, report, inputs, clean=lambda text: without_paths(text, context))
    errors = [problem for problem in report.problems if problem.severity is Severity.ERROR]
    if errors:
        raise _row_failure(errors, report, inputs)
    warnings = [problem for problem in report.problems if problem.severity is Severity.WARNING]
    for number, problem in enumerate(warnings[:TOLD_WARNINGS]):
        context.journal.event("data_warning", _sentence(problem, inputs), key=f"data_warning {number}", level="warn")


def _row_failure(errors: list[Problem], report: DataReport, inputs: Inputs) -> JobFailedError:
    """The failure of the first file that has errors, naming its first bad lines."""
    is_training = errors[0].file == str(inputs.train)
    of_file = [problem for problem in errors if problem.file == errors[0].file]
    which = "training_file" if is_training else "validation_file"
    found = report.train if is_training else report.validation
    bad = found.bad_lines if found is not None else 0
    begin = f"{bad} {'line' if bad == 1 else 'lines'} of the {which.replace('_', ' ')} cannot be used. " if bad else ""
    lines = " ".join(_sentence(problem, inputs) for problem in of_file[:NAMED_LINES])
    more = f" And {len(of_file) - NAMED_LINES} more." if len(of_file) > NAMED_LINES else ""
    is_about_count = all(problem.code is Code.ROW_COUNT for problem in of_file)
    return JobFailedError("invalid_n_examples" if is_about_count else f"invalid_{which}", begin + lines + more, which)


def _sentence(problem: Problem, inputs: Inputs) -> str:
    name = "Training file" if problem.file == str(inputs.train) else "Validation file"
    where = f"Line {problem.line}" if problem.line else name
    return f"{where}: {problem.message} {problem.fix}".rstrip()


def _check_lessons(context: JobContext, config: SupervisedConfig, inputs: Inputs, tokenizer: ChatTokenizer) -> None:
    report = validate_rows(
        inputs.train,
        inputs.validation,
        count_tokens=lambda row: _conversation_tokens(row, tokenizer),
        max_prompt_length=config.data.max_row_tokens,
        kind=CONVERSATIONS,
    )
    _keep_report(context, report, inputs)
    try:
        lessons = load_lessons(config, tokenizer)
    except DataError as error:
        is_validation = inputs.validation is not None and str(error).startswith(str(inputs.validation))
        which = "validation_file" if is_validation else "training_file"
        raise JobFailedError(f"invalid_{which}", str(error), which) from None
    rows = f"{len(lessons.train)} training rows, {len(lessons.validation)} validation rows"
    if lessons.dropped:
        rows += f"; {len(lessons.dropped)} longer than {config.data.max_row_tokens} tokens are left out"
    context.journal.event("data", f"Data: {rows}")


def _conversation_tokens(row: Row, tokenizer: ChatTokenizer) -> int:
    """Up to the last answer."""
    answers = [index for index, message in enumerate(row.messages) if message["role"] == "assistant"]
    prompt, answer = tokenizer.render_answer(row.messages[: answers[-1] + 1], tools=row.tools, where=f"row {row.id}")
    return len(prompt) + len(answer)


def _check_memory(config: Config, prompts: Prompts, model: Path) -> None:
    """Refuse what no free machine of this size could train; what is free now says nothing of the time it starts."""
    limit, source = total_memory_bytes(), "of memory are in this machine"
    if default_device().type == "cuda":
        limit = torch.cuda.get_device_properties(0).total_memory
    if config.training.memory_gb is not None:
        limit, source = int(config.training.memory_gb * GIB), "are allowed by training.memory_gb"
    try:
        require_budgets(describe_job(config, prompts, model), limit, model=config.model, source=source)
    except (ConfigError, ModelError) as error:
        raise JobFailedError("out_of_memory", str(error), "model") from None


def _check_reward(context: JobContext, config: Config, prompts: Prompts) -> None:
    def write(record: Record) -> None:
        level: Literal["info", "warn"] = "warn" if record["kind"] == "warning" else "info"
        code = record["code"] if record["kind"] == "event" else "warning"
        context.journal.event(code, record["message"], key=f"validation {record['code']}", level=level, data=record)

    try:
        with open_graders(config.reward) as (grader, _held_out):
            if config.reward.check:
                check_reward(grader, [prompt.row for prompt in prompts.train], config.reward, write)
    except GraderError as error:
        raise JobFailedError("invalid_grader", str(error), "grader") from None
