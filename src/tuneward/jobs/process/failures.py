"""What a failure is called in a job: a code, a sentence without anything of this machine, and a parameter."""

from __future__ import annotations

import errno

from tuneward.errors import (
    ConfigError,
    DataError,
    EngineError,
    GraderError,
    ModelError,
    RunError,
    TrainingError,
    TunewardError,
)
from tuneward.jobs.process.context import JobContext, JobFailedError

CODES: dict[type[TunewardError], tuple[str, str | None]] = {
    ConfigError: ("invalid_hyperparameters", "method"),
    DataError: ("invalid_training_file", "training_file"),
    ModelError: ("model_not_available", "model"),
    GraderError: ("grader_failed", "grader"),
    TrainingError: ("training_failed", None),
    RunError: ("storage_failed", None),
    EngineError: ("engine_failed", None),
}

OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}


def describe(error: Exception, context: JobContext) -> JobFailedError:
    """The failure as callers see it."""
    if isinstance(error, JobFailedError):
        failure = error
    elif isinstance(error, MemoryError):
        message = "The job ran out of memory; use a smaller model, fewer samples per prompt or shorter completions."
        failure = JobFailedError("out_of_memory", message)
    elif isinstance(error, TunewardError):
        code, param = next((found for kind, found in CODES.items() if isinstance(error, kind)), ("failed", None))
        failure = JobFailedError(code, str(error), param)
    elif isinstance(error, OSError) and error.errno in OF_THE_DISK:
        message = (
            f"The server's disk could not be used ({error.strerror or type(error).__name__}); free some space on it."
        )
        failure = JobFailedError("storage_failed", message)
    else:
        kind = type(error).__name__
        failure = JobFailedError(
            "internal_error", f"The job ended with an unexpected {kind}; the worker's log has more."
        )
    return JobFailedError(failure.code, without_paths(failure.message, context), failure.param)


def without_paths(message: str, context: JobContext) -> str:
    """Callers know their files by other names, and should not learn where the server keeps things."""
    folder = context.home / "inputs"
    for path, name in (
        (folder / "train.jsonl", "training file"),
        (folder / "validation.jsonl", "validation file"),
        (context.run_path, "the job's folder"),
        (context.home, "the job's folder"),
        (context.server_home, "the server's folder"),
    ):
        message = message.replace(str(path), name)
    return message
