"""A run from start to report: `start_run` and `resume_run`."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from tuneward.config import Config
from tuneward.engine.planner import Job
from tuneward.errors import RunError
from tuneward.models.chat import ChatTokenizer
from tuneward.models.load import set_threads
from tuneward.models.resolve import resolve
from tuneward.rewards import open_graders
from tuneward.rl.policy import Policy
from tuneward.runs.finish import Ending, finish
from tuneward.runs.folder import RunFolder, create_run, open_run, read_config, write_atomically, write_json
from tuneward.runs.interrupt import graceful_stop
from tuneward.runs.memory_check import MemoryCheck
from tuneward.runs.plan import Plan, describe_job, make_plan, read_plan
from tuneward.runs.prepare import Prompts, build_policy, check_data, load_prompts
from tuneward.runs.provenance import file_identity, machine, model_identity, versions
from tuneward.runs.receipts import ReceiptedGrader
from tuneward.runs.rollout_engine import rollout_engine
from tuneward.runs.rollouts import RolloutKeeper
from tuneward.runs.session import Session, Watcher
from tuneward.runs.sinks import JsonlSink, build_sinks, rebuild_csv
from tuneward.runs.token_pieces import piece_lengths
from tuneward.types import Grader


def start_run(config: Config, watcher: Watcher, *, with_proof: bool = False) -> RunFolder:
    """Train from a configuration; the run folder holds everything when it returns.

    Args:
        config: everything about the run.
        watcher: looks on.
        with_proof: compute the first step's gradient without shortcuts too, and say how far the two are apart.

    Raises:
        TunewardError: in whichever part something is wrong; nothing half-written is left that a later command
            would take for whole.
    """
    started = time.monotonic()
    with build_session_parts(config) as parts:
        prompts = load_prompts(config, parts.tokenizer)
        job = describe_job(config, prompts, parts.folder)
        plan = make_plan(config, prompts, job)
        policy = build_policy(config, parts.folder, plan.total_steps, merge=plan.merged)
        run = create_run(config.run.root, config.run.name, config.model)
        with run.locked():
            _write_provenance(run, config, prompts, plan, parts)
            write_json(run.data_report, check_data(config, parts.tokenizer).to_json())
            return _run(
                run, config, prompts, plan, job, policy, parts, watcher, started=started, is_resumed=False,
                with_proof=with_proof,
            )  # fmt: skip


def resume_run(name: str, root: Path, watcher: Watcher, *, stop_at: int | None = None) -> RunFolder:
    """Go on with an interrupted run from its newest whole checkpoint, ending as if it had never stopped.

    Raises:
        RunError: no such run, it is finished, or another process works on it; and as `start_run`.
    """
    started = time.monotonic()
    run = open_run(name, root)
    with run.locked():
        manifest = run.read_json(run.manifest)
        config = read_config(run)
        config = config.model_copy(update={"run": config.run.model_copy(update={"stop_at": stop_at})})
        if run.result.is_file() and run.read_json(run.result).get("is_complete"):
            raise RunError(
                f"{run.path}: this run is finished. Start a new one, with lora.init_from={run.adapter} to build on it."
            )
        plan = read_plan(manifest, run)
        with build_session_parts(config.model_copy(update={"threads": plan.threads})) as parts:
            _check_same_inputs(run, manifest, config, parts)
            prompts = load_prompts(config, parts.tokenizer)
            job = describe_job(config, prompts, parts.folder)
            policy = build_policy(config, parts.folder, plan.total_steps, merge=plan.merged)
            return _run(run, config, prompts, plan, job, policy, parts, watcher, started=started, is_resumed=True)


@dataclasses.dataclass(frozen=True, slots=True)
class SessionParts:
    """What a sitting of a run is made of, checked and ready."""

    grader: Grader
    held_out: Grader | None
    folder: Path
    """Of the base model."""
    tokenizer: ChatTokenizer

    @property
    def grader_names(self) -> dict[str, str]:
        """Name and content hash of each grader, for the manifest."""
        held_out = {"held_out": self.held_out.name} if self.held_out else {}
        return {"grader": self.grader.name, **held_out}


@contextmanager
def build_session_parts(config: Config) -> Iterator[SessionParts]:
    """Build the parts, cheapest checks first; the graders are closed at the end."""
    with open_graders(config.reward) as (grader, held_out):
        folder = resolve(config.model)
        set_threads(config.threads)
        yield SessionParts(grader, held_out, folder, ChatTokenizer.load(folder))


def _run(
    run: RunFolder,
    config: Config,
    prompts: Prompts,
    plan: Plan,
    job: Job,
    policy: Policy,
    parts: SessionParts,
    watcher: Watcher,
    *,
    started: float,
    is_resumed: bool,
    with_proof: bool = False,
) -> RunFolder:
    first = prompts.train[0]
    with ExitStack() as stack:
        stop_requested = stack.enter_context(graceful_stop())
        engine = stack.enter_context(
            rollout_engine(config, policy, parts.tokenizer, run.path / "vllm.log", max_rows=plan.max_rows)
        )
        memory = MemoryCheck(job, plan)
        grader = ReceiptedGrader(parts.grader, run.receipts)
        stack.callback(grader.close)
        rollouts = _rollout_keeper(run, parts.tokenizer) if config.run.keep_rollouts else None
        session = Session(
            run, config, plan, memory, prompts, engine, policy, grader, parts.held_out, [], watcher, stop_requested,
            rollouts,
        )  # fmt: skip
        stack.callback(session.close)
        has_state = is_resumed and session.restore()
        if rollouts is not None:
            rollouts.remove_after(session.progress.step if has_state else -1)
        JsonlSink(run.metrics).truncate_after(session.progress.step if has_state else -1)
        rebuild_csv(run.path)
        session.sinks = build_sinks(config.run.sinks, run.path, run.name, config.model_dump(mode="json"))
        for sink in session.sinks:
            stack.callback(sink.close)
        rendered, stops = parts.tokenizer.decode_raw(first.token_ids), parts.tokenizer.stop_tokens()
        watcher.prepared(run, config, prompts, plan, rendered, stops)
        if has_state:
            session.event("resumed", f"resumed after step {session.progress.step}")
            first_rollout = None
        else:
            first_rollout = session.before_training()
            if with_proof:
                session.prove(first_rollout)
        reason = session.train(first_rollout)
        session.check_memory()
        session.event("stopped", reason)
        is_complete = stop_requested() is None and session.progress.step != config.run.stop_at
        ending = Ending(reason, is_complete, time.monotonic() - started, memory.to_json())
        finish(run, config, session.progress, prompts.validation, ending)
    return run


def _rollout_keeper(run: RunFolder, tokenizer: ChatTokenizer) -> RolloutKeeper:
    return RolloutKeeper(
        run.rollouts,
        pieces=lambda completion: piece_lengths(tokenizer, completion.token_ids, completion.text),
        special=lambda token_id: tokenizer.decode_raw([token_id]),
    )


def _write_provenance(run: RunFolder, config: Config, prompts: Prompts, plan: Plan, parts: SessionParts) -> None:
    write_atomically(run.config, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
    data = {"train": file_identity(config.data.train) | {"rows": len(prompts.train)}}
    if config.data.validation is not None:
        data["validation"] = file_identity(config.data.validation)
    else:
        data["validation"] = {"path": f"held out from {config.data.train}"}
    data["validation"]["rows"] = len(prompts.validation)
    write_json(
        run.manifest,
        {
            "run": run.name,
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "versions": versions(),
            "machine": machine(),
            "model": {"name": config.model, **model_identity(parts.folder)},
            "data": data | {"dropped": prompts.dropped},
            **parts.grader_names,
            "plan": dataclasses.asdict(plan),
            "conventions": {"advantage_std_ddof": 1, "advantage_epsilon": 1e-4, "kl_estimator": "k3"},
        },
    )


def _check_same_inputs(run: RunFolder, manifest: dict[str, Any], config: Config, parts: SessionParts) -> None:
    """A resumed run must see what it saw, or it would end elsewhere without a word."""
    expected = {str(config.data.train): manifest["data"]["train"]["sha256"]}
    if config.data.validation is not None:
        expected[str(config.data.validation)] = manifest["data"]["validation"]["sha256"]
    for path, digest in expected.items():
        if file_identity(Path(path))["sha256"] != digest:
            raise RunError(f"{path} has changed since {run.name} began; restore it, or start a new run.")
    for role, name in parts.grader_names.items():
        if name != manifest[role]:
            who = "reward function" if role == "grader" else "held-out grader"
            raise RunError(
                f"The {who} is {name}, but {run.name} began with {manifest[role]}; restore it, or start a new run."
            )
    if model_identity(parts.folder)["weights"] != manifest["model"]["weights"]:
        raise RunError(
            f"The weights in {parts.folder} have changed since {run.name} began; restore them, or start a new run."
        )
