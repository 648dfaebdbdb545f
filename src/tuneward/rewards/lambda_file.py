"""Grader that calls `lambda_handler(event, context)` of a Python file, in killable processes of its own. Linux only."""

from __future__ import annotations

from tuneward.config import GraderConfig
from tuneward.errors import GraderError
from tuneward.rewards.event_grader import BACKOFF_S, EventGrader
from tuneward.rewards.pool import ProcessPool
from tuneward.rewards.program import IMPORT_TIMEOUT_S, Program


class LambdaFileGrader(EventGrader):
    """Scores samples with a user's file; all processes run the bytes read here, whatever happens to the file later.

    Args:
        config: the file, the handler's name, limits, batch size, processes and retries.
        import_timeout_s: wall-clock limit for loading the file, in seconds.
        backoff_s: pause before the first retry, in seconds.

    Raises:
        GraderError: the file is missing, unreadable, not Python, does not load, or has no handler that takes
            (event, context).
    """

    def __init__(
        self, config: GraderConfig, *, import_timeout_s: float = IMPORT_TIMEOUT_S, backoff_s: float = BACKOFF_S
    ) -> None:
        super().__init__(
            ProcessPool(_program(config, import_timeout_s), config.workers),
            batch_size=config.batch_size,
            retries=config.retries,
            backoff_s=backoff_s,
            reference_answer=config.reference_answer,
        )


def _program(config: GraderConfig, import_timeout_s: float) -> Program:
    file = config.file
    assert file is not None
    if file.suffix != ".py":
        raise GraderError(f"{file}: not a Python file. reward.file must name a .py file with {config.handler}.")
    try:
        source = file.read_bytes()
    except FileNotFoundError:
        raise GraderError(f"{file}: no such reward file. Correct reward.file.") from None
    except OSError as error:
        raise GraderError(f"{file}: cannot be read ({error.strerror}).") from None
    return Program(
        path=file,
        source=source,
        handler=config.handler,
        timeout_s=config.timeout_s,
        memory_mb=config.memory_mb,
        import_timeout_s=import_timeout_s,
        isolation=config.isolation or "process",
    )
