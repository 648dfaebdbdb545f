"""Evaluate a model or a run, and compare a run with its base, outside training."""

from __future__ import annotations

from pathlib import Path

from tuneward.config import Config
from tuneward.evaluation.evaluate import Evaluation, evaluate
from tuneward.evaluation.statistics import Comparison
from tuneward.rewards import open_graders
from tuneward.runs.finish import compare_evaluations
from tuneward.runs.folder import open_run
from tuneward.runs.prepare import engine_for, load_prompts


def evaluate_model(name: str, config: Config, root: Path) -> Evaluation:
    """Score a run's tuned model, or any model, on the configuration's validation prompts.

    Raises:
        TunewardError: whatever is wrong with the model, the data or the grader.
    """
    with open_graders(config.reward) as (grader, held_out):
        engine = engine_for(name, root=root, threads=config.threads)
        prompts = load_prompts(config, engine.tokenizer)
        return evaluate(engine, grader, prompts.validation, config, step=0, held_out=held_out)


def compare_run(name: str, config: Config, root: Path) -> Comparison:
    """Evaluate base and tuned model of a run afresh, with the same seeds, and compare them row by row.

    Raises:
        TunewardError: as `evaluate_model`.
    """
    run = open_run(name, root)
    base = evaluate_model(config.model, config, root)
    tuned = evaluate_model(str(run.path), config, root)
    return compare_evaluations([row.to_json() for row in base.rows], [row.to_json() for row in tuned.rows], config)
