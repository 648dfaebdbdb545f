"""From names to a catalog: each base model is loaded once, whatever is tuned on it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tuneward.engine.attention import ATTENTION
from tuneward.engine.forward import PackedModel
from tuneward.engine.serving.adapters import load_adapter
from tuneward.engine.serving.engine import ServingEngine
from tuneward.engine.serving.limits import limits_for
from tuneward.errors import ConfigError, RunError
from tuneward.models.chat import ChatTokenizer
from tuneward.models.load import load_base, set_threads
from tuneward.models.resolve import resolve
from tuneward.runs.folder import open_run
from tuneward.serve.catalog import FixedCatalog, ServedModel


def load_catalog(
    models: Sequence[str],
    runs: Sequence[str],
    *,
    root: Path = Path("runs"),
    max_rows: int = 32,
    max_waiting: int = 256,
    threads: int | None = None,
) -> FixedCatalog:
    """Load models and the tuned models of runs.

    Args:
        models: names as `resolve` takes them; the served name is the same, of a folder its last part.
        runs: folders, or names under `root`; the served name is the run's.
        root: where runs are.
        max_rows, max_waiting: see `ServingLimits`; for each base model.
        threads: CPU threads; None uses all.

    Raises:
        ConfigError: nothing to serve, or two of one name.
        ModelError, RunError: no such model or run, or damaged.
    """
    if not models and not runs:
        raise ConfigError("Nothing to serve; give --model NAME or --run NAME.")
    set_threads(threads)
    engines: dict[Path, ServingEngine] = {}

    def engine_of(folder: Path, name: str) -> ServingEngine:
        folder = folder.resolve()
        if folder not in engines:
            packed = PackedModel(load_base(folder, name, attention=ATTENTION))
            limits = limits_for(packed.model, max_rows=max_rows, max_waiting=max_waiting)
            engines[folder] = ServingEngine(packed, ChatTokenizer.load(folder), limits)
        return engines[folder]

    try:
        served = [
            ServedModel(
                Path(name).name if Path(name).exists() else name, engine_of(resolve(name), name), int(time.time())
            )
            for name in models
        ]
        for name in runs:
            run = open_run(name, root)
            base = run.read_json(run.manifest)["model"]
            if not run.adapter.is_dir():
                raise RunError(
                    f"{run.path}: no adapter yet (the run is {run.state}); finish it with tuneward train --resume."
                )
            engine = engine_of(Path(base["path"]), base["name"])
            adapter = load_adapter(engine.base, run.adapter)
            served.append(ServedModel(run.name, engine, int(run.adapter.stat().st_mtime), adapter))
        return FixedCatalog(served)
    except BaseException:
        for engine in engines.values():
            engine.close()
        raise
