"""What a job would take, told before it is started."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from tuneward.config import Config
from tuneward.engine.engine import Engine
from tuneward.engine.memory_plan import MemoryPlan
from tuneward.errors import ConfigError
from tuneward.models.chat import ChatTokenizer
from tuneward.models.load import set_threads
from tuneward.models.resolve import resolve
from tuneward.runs.plan import MemoryLimit, Plan, describe_job, make_plan, memory_limit
from tuneward.runs.prepare import build_policy, load_prompts, make_schedule
from tuneward.runs.probe import TimePlan, probe_speed


@dataclass(frozen=True, slots=True)
class Foresight:
    """Plan, memory and time of a job."""

    plan: Plan
    memory: MemoryPlan
    limit: MemoryLimit
    time: TimePlan | None
    """None without a probe."""

    def to_json(self) -> dict[str, Any]:
        time = self.time
        seconds = {} if time is None else {"step_s": time.step_s, "job_s": time.job_s, **dataclasses.asdict(time)}
        return {
            "plan": dataclasses.asdict(self.plan),
            "memory": {name: dict(parts) for name, parts in self.memory.phases.items()},
            "peak_phase": self.memory.peak_phase,
            "limit_bytes": self.limit.count,
            "time": seconds or None,
        }


def foresee(config: Config, *, with_probe: bool = False) -> Foresight:
    """Plan a job as `start_run` would, without starting it.

    Args:
        config: of the job.
        with_probe: load the model and measure it for at most some 20 seconds, to predict time as well.

    Raises:
        TunewardError: whatever keeps the job from starting; it does not fit into memory, say.
    """
    if with_probe and config.rollout.engine != "torch":
        raise ConfigError(
            f"--probe measures sampling in this process, but rollout.engine is {config.rollout.engine}; leave it out."
        )
    folder = resolve(config.model)
    set_threads(config.threads)
    tokenizer = ChatTokenizer.load(folder)
    prompts = load_prompts(config, tokenizer)
    job = describe_job(config, prompts, folder)
    limit = memory_limit(config.training.memory_gb, config.rollout)
    plan = make_plan(config, prompts, job)
    time = None
    if with_probe:
        policy = build_policy(config, folder, plan.total_steps, merge=plan.merged)
        engine = Engine(policy.packed, tokenizer, max_rows=plan.max_rows)
        batch = make_schedule(config, prompts).batch(1)
        time = probe_speed(policy, engine, batch, prompts.validation[: config.evaluation.max_rows], config, plan)
    return Foresight(plan, job.memory(plan.budgets), limit, time)
