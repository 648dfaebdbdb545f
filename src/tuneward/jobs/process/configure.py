"""From what a job is to do to the configuration of its run."""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import shutil
from pathlib import Path
from typing import Any

from tuneward.config import Config, SupervisedConfig, parse_config, parse_section
from tuneward.errors import DataError, RunError
from tuneward.jobs.inputs import Inputs
from tuneward.jobs.judge_connection import connect_judges
from tuneward.jobs.process.context import JobContext

WANDB_SETTINGS = {"project": "WANDB_PROJECT", "entity": "WANDB_ENTITY", "name": "WANDB_NAME"}


def build_config(context: JobContext, inputs: Inputs) -> Config | SupervisedConfig:
    """The configuration of the job's run. Raises JobFailedError, ConfigError, DataError, RunError."""
    spec = context.spec
    tree: dict[str, Any] = copy.deepcopy(spec.config)
    tree["model"] = context.base_model().local
    tree.setdefault("threads", context.config.threads)
    tree["data"] = tree.get("data", {}) | {"train": str(inputs.train)}
    if inputs.validation is not None:
        tree["data"]["validation"] = str(inputs.validation)
    if spec.start_from is not None:
        adapter = _starting_adapter(context)
        tree["lora"] = tree.get("lora", {}) | _shape(adapter) | {"init_from": str(adapter)}
    if _logs_to_wandb(context):
        tree["run"] = tree.get("run", {}) | {"sinks": ["wandb"]}
    tree["run"] = tree.get("run", {}) | {"root": str(context.home), "name": context.run_path.name}
    if spec.method == "supervised":
        return parse_section(SupervisedConfig, tree, "hyperparameters")
    connect_judges(tree.get("reward", {}), context.config.judges)
    return parse_config(tree, "hyperparameters")


def _starting_adapter(context: JobContext) -> Path:
    """A copy in the job's own folder: a resumed run needs it, and the original may be deleted meanwhile."""
    target = context.home / "inputs" / "start_from"
    if not target.is_dir():
        assert context.spec.start_from is not None
        source, temporary = context.server_home / context.spec.start_from, target.with_name(".start_from.new")
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            shutil.copytree(source, temporary)
            os.replace(temporary, target)
        except OSError as error:
            if not source.is_dir():
                raise DataError("The model to start from is gone; name another one.") from None
            reason = error.strerror or error.args[0][0][2]  # the latter of shutil's own
            raise RunError(f"The model to start from cannot be copied ({reason}); free some space.") from None
    return target


def _shape(adapter: Path) -> dict[str, Any]:
    """Rank and scale, which an adapter brings with it; what memory is planned by them."""
    try:
        found = json.loads((adapter / "adapter_config.json").read_text())
        return {"r": found["r"], "alpha": found["lora_alpha"]}
    except (OSError, ValueError, KeyError):
        raise DataError("The model to start from cannot be read; name another one.") from None


def _logs_to_wandb(context: JobContext) -> bool:
    """Whether Weights & Biases gets the metrics; its own variables say where. Tells when it cannot be used here."""
    wanted = next((entry for entry in context.spec.integrations if entry.get("type") == "wandb"), None)
    if wanted is None:
        return False
    missing = None
    if importlib.util.find_spec("wandb") is None:
        missing = 'its library is not installed on the worker (pip install "tuneward[wandb]")'
    elif not (os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_MODE")):
        missing = "WANDB_API_KEY is not set on the worker"
    if missing is not None:
        context.journal.event("integration", f"Metrics do not go to Weights & Biases: {missing}.", level="warn")
        return False
    settings = wanted.get("wandb") or {}
    for name, variable in WANDB_SETTINGS.items():
        if settings.get(name):
            os.environ[variable] = str(settings[name])
    if settings.get("tags"):
        os.environ["WANDB_TAGS"] = ",".join(map(str, settings["tags"]))
    return True
