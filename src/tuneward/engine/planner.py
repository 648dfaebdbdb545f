"""Sizes of a job that trade memory for time: chosen so that the predicted peak stays under a limit, or refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tuneward.engine.memory_plan import Budgets, Device, JobSize, MemoryPlan, memory_plan, record_bytes
from tuneward.engine.shape import ModelShape
from tuneward.errors import ConfigError, ModelError

LEAST_TOKENS, USUAL_TOKENS = 256, 512
"""Micro-batches smaller than the first waste the machine; larger than the second they gain next to nothing."""
MOST_ROWS, USUAL_ROWS = 512, 64
"""Completions decoded together: more than the second gain little, more than the first nothing."""
RECORD_SHARE = 1 / 3
"""Share of the limit for what sampling leaves to the update, at most."""
SAFE_SHARE = 0.85
"""Share of the available memory that is planned with: predictions hold within 15 %."""
UNKNOWN_BYTES = 8 << 30
"""Planned with where a machine does not tell what is available; nothing is refused then."""
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Job:
    """What a job's memory depends on before anything is chosen."""

    shape: ModelShape
    size: JobSize
    device: Device
    samples_here: bool = True
    """False when another process samples."""
    beta: float = 0.0
    reuse_forward: bool = True
    token_budget: int | None = None
    """The user's, which is never changed."""
    can_merge: bool = True
    """The device multiplies with merged copies: a CPU does."""

    def memory(self, budgets: Budgets) -> MemoryPlan:
        """See `memory_plan`."""
        return memory_plan(self.shape, self.size, budgets, self.device, samples_here=self.samples_here, beta=self.beta)

    def memory_of(self, budgets: Budgets, *, longest_completion: int, step_tokens: int) -> MemoryPlan:
        """The same for lengths that have occurred, which are seldom the longest possible.

        Args:
            budgets: of the job.
            longest_completion: tokens.
            step_tokens: most distinct tokens of one step, prompts included.
        """
        # A GPU's keys and values are made whole at the start.
        longest = self.size.longest_completion if self.device.on_gpu else longest_completion
        occurred = dataclasses.replace(
            budgets,
            token_budget=min(budgets.token_budget, step_tokens),
            record_tokens=min(budgets.record_tokens, step_tokens),
        )
        return dataclasses.replace(self, size=dataclasses.replace(self.size, longest_completion=longest)).memory(
            occurred
        )


def choose_budgets(job: Job, limit_bytes: int | None) -> Budgets | None:
    """The fastest sizes whose predicted peak is at most the limit; None when even the smallest exceed it.

    Given up in this order, each as far as needed: waves of more than `USUAL_ROWS` rows, which gain little; the
    forward record; tokens per micro-batch; merged copies; waves of fewer rows.
    """
    limit = UNKNOWN_BYTES if limit_bytes is None else limit_bytes
    for merged, rows in _sampling_choices(job):
        smallest = Budgets(job.token_budget or LEAST_TOKENS, 0, merged, rows)
        if job.memory(smallest).peak_bytes <= limit:
            return _grown(job, smallest, limit)
    return smallest if limit_bytes is None else None


def require_budgets(job: Job, limit_bytes: int | None, *, model: str, source: str) -> Budgets:
    """As `choose_budgets`.

    Args:
        job: what is to be done.
        limit_bytes: None when unknown.
        model: its name, for the message.
        source: where the limit comes from, for the message: "are available here", say.

    Raises:
        ConfigError: it does not fit, but would with a smaller number; the message names numbers and values.
        ModelError: it would fit with none.
    """
    budgets = choose_budgets(job, limit_bytes)
    if budgets is not None:
        return budgets
    assert limit_bytes is not None
    plan = job.memory(smallest_budgets(job))
    need = f"{model} needs at least {_gib(plan.peak_bytes)} of memory for this job ({plan.peak_phase})"
    have = f"only {_gib(limit_bytes)} {source}"
    remedies = [f"{setting} to at most {value}" for setting, value in remedies_of(job, limit_bytes)]
    if not remedies:
        raise ModelError(f"{need}, but {have}, whatever the lengths. Use a smaller model or more memory.")
    raise ConfigError(f"{need}, but {have}. Set {', or '.join(remedies)}.")


def smallest_budgets(job: Job) -> Budgets:
    """The sizes with which a job takes the least memory."""
    rows = min(rows for _, rows in _sampling_choices(job))
    return Budgets(job.token_budget or LEAST_TOKENS, 0, False, rows)


def _sampling_choices(job: Job) -> Iterator[tuple[bool, int]]:
    """(merged, rows), the fastest first."""
    can_merge = job.can_merge and job.samples_here and job.shape.can_record
    for merged in (True, False) if can_merge else (False,):
        rows = MOST_ROWS
        while rows > USUAL_ROWS or (not merged and rows > job.size.samples_per_prompt):
            yield merged, rows
            rows //= 2
        yield merged, max(rows, 1)


def _grown(job: Job, smallest: Budgets, limit: int) -> Budgets:
    """The largest record and then the largest micro-batches that fit; usual micro-batches come first."""

    def fits(record: int, tokens: int) -> bool:
        grown = dataclasses.replace(smallest, record_tokens=record, token_budget=tokens)
        return job.memory(grown).peak_bytes <= limit

    given = job.token_budget
    # Every micro-batch that shares a group computes its prompt again, so a whole group is worth having.
    usual, most = (given, given) if given else (USUAL_TOKENS, max(USUAL_TOKENS, job.size.group_tokens))
    tokens = given or _largest(LEAST_TOKENS, usual, lambda count: fits(0, count))
    record = 0
    if job.reuse_forward and smallest.merged and tokens == usual:
        most_record = _largest(
            0,
            job.size.step_tokens,
            lambda count: record_bytes(job.shape, job.size, count, job.device.number_bytes) <= limit * RECORD_SHARE,
        )
        record = _largest(0, most_record, lambda count: fits(count, tokens))
    if tokens == usual:
        tokens = _largest(usual, most, lambda count: fits(record, count))
    return dataclasses.replace(smallest, record_tokens=record, token_budget=tokens)


def _largest(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The largest number up to `high` for which something holds that holds for `low` and for all below the answer."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def remedies_of(job: Job, limit: int) -> Iterator[tuple[str, int]]:
    """Each setting that makes the job fit by itself, with its largest value that does."""
    for setting, field, least in (
        ("training.samples_per_prompt", "samples_per_prompt", 2),
        ("training.max_completion_tokens", "longest_completion", 1),
        ("data.max_prompt_length", "longest_prompt", 1),
        ("training.token_budget", "token_budget", 1),
    ):

        def fits(value: int, field: str = field) -> bool:
            return choose_budgets(_changed(job, field, value), limit) is not None

        now = job.token_budget if field == "token_budget" else getattr(job.size, field)
        if now is not None and now > least and fits(least):
            yield setting, _largest(least, now - 1, fits)


def _changed(job: Job, field: str, value: int) -> Job:
    if field == "token_budget":
        return dataclasses.replace(job, token_budget=value)
    changes = {field: value}
    if field == "longest_prompt":  # the limit holds for validation prompts too
        changes["longest_evaluation_prompt"] = min(value, job.size.longest_evaluation_prompt)
    return dataclasses.replace(job, size=dataclasses.replace(job.size, **changes))


def _gib(count: int) -> str:
    return f"{count / GIB:.1f} GiB"
