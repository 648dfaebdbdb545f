"""A supervised run from start to adapter: `start_supervised` and `resume_supervised`.

Its folder is that of any run (configuration, manifest, metrics, checkpoints, adapter, result), so that it can be
served, resumed, and built on with `lora.init_from`.
"""

from __future__ import annotations

import dataclasses
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
import yaml

from tuneward.config import SupervisedConfig, parse_section
from tuneward.engine.attention import ATTENTION
from tuneward.engine.memory_plan import Device
from tuneward.engine.planner import Job, choose_budgets
from tuneward.engine.shape import read_shape
from tuneward.errors import ConfigError, RunError
from tuneward.models.chat import ChatTokenizer
from tuneward.models.load import add_adapter, default_device, load_base, set_threads
from tuneward.models.memory import resident_bytes
from tuneward.models.resolve import resolve
from tuneward.rl.policy import Policy
from tuneward.rl.schedule import PromptSchedule
from tuneward.rl.supervised import Lesson
from tuneward.runs import checkpoint as checkpoints
from tuneward.runs.finish import export_adapter
from tuneward.runs.folder import RunFolder, create_run, open_run, write_atomically, write_json
from tuneward.runs.interrupt import graceful_stop
from tuneward.runs.lessons import Lessons, load_lessons
from tuneward.runs.plan import memory_limit
from tuneward.runs.provenance import file_identity, machine, model_identity, versions
from tuneward.runs.sinks import JsonlSink, build_sinks, rebuild_csv
from tuneward.runs.sizes import RowSizes, supervised_job
from tuneward.runs.supervised_session import SupervisedPlan, SupervisedSession, SupervisedWatcher


def start_supervised(config: SupervisedConfig, watcher: SupervisedWatcher) -> RunFolder:
    """Train from a configuration; the run folder holds everything when it returns.

    Args:
        config: everything about the run.
        watcher: looks on.

    Raises:
        TunewardError: in whichever part something is wrong.
    """
    started = time.monotonic()
    parts = _Parts(config)
    plan = parts.plan()
    policy = parts.policy(plan)
    run = create_run(config.run.root, config.run.name, config.model)
    with run.locked():
        write_atomically(run.config, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
        write_json(run.manifest, parts.manifest(run, plan))
        return _run(run, parts, plan, policy, watcher, started=started, is_resumed=False)


def resume_supervised(name: str, root: Path, watcher: SupervisedWatcher, *, stop_at: int | None = None) -> RunFolder:
    """Go on with an interrupted run from its newest whole checkpoint, ending as if it had never stopped.

    Raises:
        RunError: no such run, it is finished, its inputs have changed, or another process works on it.
    """
    started = time.monotonic()
    run = open_run(name, root)
    with run.locked():
        manifest = run.read_json(run.manifest)
        if run.result.is_file() and run.read_json(run.result).get("is_complete"):
            raise RunError(f"{run.path}: this run is finished. Start a new one, with lora.init_from={run.adapter}.")
        config = read_supervised_config(run)
        plan = SupervisedPlan(**manifest["plan"])
        changes = {"run": config.run.model_copy(update={"stop_at": stop_at}), "threads": plan.threads}
        parts = _Parts(config.model_copy(update=changes))
        if (
            parts.inputs() != manifest["data"]
            or model_identity(parts.folder)["weights"] != manifest["model"]["weights"]
        ):
            raise RunError(
                f"The data or the model of {run.name} has changed since it began; restore it, or start anew."
            )
        return _run(run, parts, plan, parts.policy(plan), watcher, started=started, is_resumed=True)


def read_supervised_config(run: RunFolder) -> SupervisedConfig:
    """The configuration that a supervised run was started with. Raises RunError, ConfigError."""
    try:
        return parse_section(SupervisedConfig, yaml.safe_load(run.config.read_text(encoding="utf-8")), str(run.config))
    except (OSError, yaml.YAMLError) as error:
        raise RunError(f"{run.config}: cannot be read ({error}).") from None


class _Parts:
    """What a sitting is made of, cheapest checks first."""

    def __init__(self, config: SupervisedConfig):
        self.config = config
        self.folder = resolve(config.model)
        self.threads = set_threads(config.threads)
        self.tokenizer = ChatTokenizer.load(self.folder)
        self.lessons = load_lessons(config, self.tokenizer)
        self.schedule: PromptSchedule[Lesson] = PromptSchedule(
            self.lessons.train, config.training.rows_per_step, seed=config.run.seed, shuffle=config.data.shuffle
        )

    def plan(self) -> SupervisedPlan:
        """Raises ConfigError when the longest conversation does not fit into memory."""
        config, lessons = self.config, self.lessons
        job = self._job(lessons)
        limit = memory_limit(config.training.memory_gb)
        budgets = choose_budgets(job, limit.count)
        if budgets is None:
            raise ConfigError(
                f"{config.model} does not fit with conversations of {lessons.longest_prompt + lessons.longest_answer} "
                f"tokens into the memory that {limit.source}. Lower data.max_row_tokens, or use a smaller model."
            )
        return SupervisedPlan(
            total_steps=self.schedule.total_steps(config.training.epochs, config.training.max_steps),
            evaluate_every=config.evaluation.every_steps or self.schedule.steps_per_epoch,
            token_budget=budgets.token_budget,
            threads=self.threads,
            peak_memory_bytes=job.memory(budgets).peak_bytes,
        )

    def policy(self, plan: SupervisedPlan) -> Policy:
        config = self.config
        # Nothing of ours draws from torch's own generator; seeding it covers models that would.
        torch.manual_seed(config.run.seed)
        base = load_base(self.folder, config.model, attention=ATTENTION)
        model = add_adapter(base, config.lora, seed=config.run.seed)
        return Policy(model, config.training, total_steps=plan.total_steps, merge=False)

    def inputs(self) -> dict[str, Any]:
        """Identity of the data, for the manifest."""
        data, lessons = self.config.data, self.lessons
        train = file_identity(data.train) | {"rows": len(lessons.train)}
        if data.validation is not None:
            validation = file_identity(data.validation)
        else:
            validation = {"path": f"held out from {data.train}"}
        return {
            "train": train,
            "validation": validation | {"rows": len(lessons.validation)},
            "dropped": lessons.dropped,
        }

    def manifest(self, run: RunFolder, plan: SupervisedPlan) -> dict[str, Any]:
        return {
            "run": run.name,
            "method": "supervised",
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "versions": versions(),
            "machine": machine(),
            "model": {"name": self.config.model, **model_identity(self.folder)},
            "data": self.inputs(),
            "plan": dataclasses.asdict(plan),
        }

    def _job(self, lessons: Lessons) -> Job:
        config, on_gpu = self.config, default_device().type == "cuda"
        shape = read_shape(self.folder, config.model, config.lora)
        rows = RowSizes(
            train=len(lessons.train),
            validation=len(lessons.validation),
            longest_prompt=lessons.longest_prompt,
            longest_validation_prompt=lessons.longest_prompt,
            longest_answer=lessons.longest_answer,
        )
        return supervised_job(config, shape, rows, Device(on_gpu, 0 if on_gpu else resident_bytes(), 0))


def _run(
    run: RunFolder,
    parts: _Parts,
    plan: SupervisedPlan,
    policy: Policy,
    watcher: SupervisedWatcher,
    *,
    started: float,
    is_resumed: bool,
) -> RunFolder:
    config = parts.config
    with ExitStack() as stack:
        stop_requested = stack.enter_context(graceful_stop())
        session = SupervisedSession(run, config, plan, parts.lessons, parts.schedule, policy, [], watcher)
        has_state = is_resumed and session.restore()
        JsonlSink(run.metrics).truncate_after(session.progress.step if has_state else -1)
        rebuild_csv(run.path)
        session.sinks = build_sinks(config.run.sinks, run.path, run.name, config.model_dump(mode="json"))
        for sink in session.sinks:
            stack.callback(sink.close)
        watcher.prepared(run, config, parts.lessons, plan)
        if has_state:
            session.event("resumed", f"resumed after step {session.progress.step}")
        else:
            session.begin()
        reason = session.train(stop_requested)
        session.event("stopped", reason)
        is_complete = stop_requested() is None and session.progress.step != config.run.stop_at
        chosen = run.checkpoints / f"step-{session.progress.best_step:06d}"
        if not session.progress.best_step or not chosen.is_dir():
            newest = checkpoints.newest_whole(run.checkpoints)
            if newest is None:
                raise RunError(f"{run.checkpoints}: no whole checkpoint is left.")
            chosen = newest
        export_adapter(chosen / "adapter", run.adapter)
        write_json(run.result, session.result(reason, chosen, time.monotonic() - started, is_complete=is_complete))
    return run
