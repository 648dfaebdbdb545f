"""The catalog of a server: models are loaded when they are called, and make room for each other.

Base models lie in memory once, with the adapters that are in use on them. What is not in use gives way, the longest
unused first; a request holds what answers it, so neither unloading nor deleting nor swapping a model touches an answer
under way.
"""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from tuneward.accounts.principal import Principal
from tuneward.config import ServingConfig
from tuneward.errors import ModelError
from tuneward.jobs.directory import BaseModel, ModelDirectory
from tuneward.jobs.models import ModelService
from tuneward.jobs.problems import ObjectNotFoundError
from tuneward.models.gguf import sha256_file
from tuneward.models.memory import return_freed_memory
from tuneward.models.resolve import resolve
from tuneward.serve.catalog import ModelCard, ServedModel
from tuneward.serve.runs import ServedRun
from tuneward.serve.shared_cache import Reserve, SharedCache

if TYPE_CHECKING:  # a server answers before it has loaded torch
    from tuneward.engine.serving.adapters import Adapter
    from tuneward.engine.serving.engine import ServingEngine

WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """An adapter's folder, and what tells its content from an earlier one in the same place."""

    folder: Path
    inode: int
    changed_ns: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a name stands for at this moment."""

    id: str
    base: Path | BaseModel
    """Folder, or an entry of the directory that may have to be fetched."""
    base_name: str
    created: int
    adapter: AdapterFile | None = None


@dataclass(frozen=True, slots=True)
class Resident:
    """A base model in memory."""

    engine: ServingEngine
    adapters: SharedCache[AdapterFile, Adapter]


class ModelHost:
    """See `Catalog`.

    Args:
        directory: base models, for everybody.
        models: tuned models, for those whom they belong to or who may use them.
        config: `serving` of the server.
        threads: CPU threads; None: all.
        runs: tuned models of runs on this machine, for everybody, by name.
    """

    def __init__(
        self,
        directory: ModelDirectory,
        models: ModelService,
        config: ServingConfig,
        *,
        threads: int | None = None,
        runs: Mapping[str, ServedRun] | None = None,
    ):
        self._directory, self._models, self._config = directory, models, config
        self._threads = threads
        self._runs = dict(runs or {})
        self._created = int(time.time())
        self._budget: int | None = None if config.memory_gb is None else int(config.memory_gb * 2**30)
        self._folders: dict[Path | BaseModel, Path] = {}
        # One thread each: sums of bytes stay true, and a large model on its way does not hold up adapters of others.
        self._base_thread = ThreadPoolExecutor(1, "load-model")
        self._adapter_thread = ThreadPoolExecutor(1, "load-adapter")
        self._names: dict[Path, str] = {}
        """Of base models by folder, for messages."""
        self._residents: SharedCache[Path, Resident] = SharedCache(
            self._load_base,
            _unload_base,
            self._budget_bytes,
            self._base_thread,
            what="models",
            idle_s=config.idle_unload_s,
            freed=_free_memory,
        )

    def cards(self, principal: Principal) -> list[ModelCard]:
        """See `Catalog.cards`: base models, runs, tuned models, checkpoints that the caller may use."""
        shown = [ModelCard(base.id, self._created) for base in self._directory]
        shown += [ModelCard(name, run.created, version=None) for name, run in self._runs.items()]
        usable = self._models.usable(principal.project_id)
        return shown + [ModelCard(tuned.name, int(tuned.created_at), tuned.owner, version=None) for tuned in usable]

    def card(self, principal: Principal, name: str) -> ModelCard:
        """See `Catalog.card`."""
        wanted = self._find(principal, name)
        owner = "tuneward"
        if wanted.adapter is not None and name not in self._runs:
            owner = self._models.find(principal.project_id, name).owner
        return ModelCard(wanted.id, wanted.created, owner, _version(wanted.adapter))

    @asynccontextmanager
    async def use(self, principal: Principal, name: str) -> AsyncIterator[ServedModel]:
        """See `Catalog.use`."""
        wanted = await run_in_threadpool(self._find, principal, name)
        folder = await run_in_threadpool(self._folder_of, wanted.base, wanted.base_name)
        async with self._residents.use(folder) as base:
            if wanted.adapter is None:
                yield ServedModel(wanted.id, base.engine, wanted.created)
                return
            async with base.adapters.use(wanted.adapter) as adapter:
                yield ServedModel(wanted.id, base.engine, wanted.created, adapter)

    def preload(self, name: str) -> None:
        """Load a base model before it is called. Raises ObjectNotFoundError, ModelError."""
        base = self._directory.find(name)
        self._residents.load_now(self._folder_of(base, base.local))

    @property
    def loaded(self) -> list[str]:
        """See `Catalog.loaded`."""
        return [self._names[folder] for folder in self._residents.loaded]

    def loaded_count(self) -> int:
        """How many base models are in memory."""
        return len(self.loaded)

    @property
    def loaded_adapters(self) -> frozenset[Path]:
        """See `Catalog.loaded_adapters`."""
        residents = self._residents.loaded.values()
        return frozenset(file.folder for resident in residents for file in resident.adapters.loaded)

    def close(self) -> None:
        """See `Catalog.close`."""
        self._residents.close()
        self._base_thread.shutdown()
        self._adapter_thread.shutdown()

    def _find(self, principal: Principal, name: str) -> Wanted:
        """Raises ObjectNotFoundError; ModelError for a tuned model that is there no more."""
        if name in self._runs:
            run = self._runs[name]
            return Wanted(name, run.base, run.base_name, run.created, _adapter_file(run.adapter, name))
        try:
            base = self._directory.find(name)
            return Wanted(base.id, base, base.local, self._created)
        except ObjectNotFoundError as unknown:
            try:
                tuned = self._models.find(principal.project_id, name)
            except ObjectNotFoundError as missing:
                raise (missing if name.startswith(("ft:", "arn:")) else unknown) from None
        try:
            base = self._directory.find(tuned.base_model)
        except ObjectNotFoundError:
            raise ModelError(
                f"{name} was tuned from {tuned.base_model}, which is not among this server's models; add it to them."
            ) from None
        return Wanted(name, base, base.local, int(tuned.created_at), _adapter_file(tuned.adapter, name))

    def _folder_of(self, base: Path | BaseModel, name: str) -> Path:
        if base not in self._folders:
            folder = base if isinstance(base, Path) else resolve(base.local).resolve()
            self._names.setdefault(folder, name)
            self._folders[base] = folder
        return self._folders[base]

    def _budget_bytes(self) -> int:
        if self._budget is None:
            from tuneward.engine.serving.limits import free_memory_bytes

            self._budget = free_memory_bytes() // 2
        return self._budget

    def _load_base(self, folder: Path, reserve: Reserve) -> Resident:
        from tuneward.engine.attention import ATTENTION
        from tuneward.engine.forward import PackedModel
        from tuneward.engine.serving.engine import ServingEngine
        from tuneward.engine.serving.limits import plan_footprint, size_of
        from tuneward.models.chat import ChatTokenizer
        from tuneward.models.load import load_base, set_threads

        name = self._names[folder]
        set_threads(self._threads)
        rows = {"max_rows": self._config.max_rows, "max_waiting": self._config.max_waiting}
        footprint = plan_footprint(size_of(folder, name), self._budget_bytes(), name=name, **rows)
        reserve(footprint.total_bytes)
        try:
            packed = PackedModel(load_base(folder, name, attention=ATTENTION), merge=footprint.has_copies)
            engine = ServingEngine(packed, ChatTokenizer.load(folder), footprint.limits)
        except (MemoryError, OSError, RuntimeError) as error:
            raise ModelError(f"{name}: cannot be loaded ({' '.join(str(error).split())[:200]}).") from None

        def load(file: AdapterFile, reserve: Reserve) -> Adapter:
            return _load_adapter(engine, file, reserve, footprint.adapter_bytes)

        adapters = SharedCache(
            load, engine.forget, lambda: footprint.adapter_bytes, self._adapter_thread, what="tuned models"
        )
        return Resident(engine, adapters)


def _load_adapter(engine: ServingEngine, file: AdapterFile, reserve: Reserve, limit_bytes: int) -> Adapter:
    from tuneward.engine.serving.adapters import load_adapter

    if file.bytes > limit_bytes:
        raise ModelError(
            f"{file.folder.name}: this adapter has {file.bytes / 2**20:.1f} MiB, and those of one model may have "
            f"{limit_bytes / 2**20:.1f} MiB together. Raise serving.memory_gb."
        )
    reserve(file.bytes)
    return load_adapter(engine.base, file.folder)


def _unload_base(resident: Resident) -> None:
    resident.adapters.close()
    resident.engine.close()


def _free_memory() -> None:
    gc.collect()  # layers and their functions refer to each other
    return_freed_memory()


def _adapter_file(folder: Path, name: str) -> AdapterFile:
    try:
        found = (folder / WEIGHTS).stat()
    except OSError as error:
        raise ModelError(f"{name}: its adapter cannot be read ({error.strerror}).") from None
    return AdapterFile(folder, found.st_ino, found.st_mtime_ns, found.st_size)


@lru_cache(1024)
def _version(adapter: AdapterFile | None) -> str:
    return "base" if adapter is None else f"adapter-{sha256_file(adapter.folder / WEIGHTS)[:12]}"
