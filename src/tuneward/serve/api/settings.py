"""`GET /api/settings`: what the server runs with and what its workers do, for administrators.

Where things lie on the machine, and what jobs of other projects are called, is told to administrators of the default
project alone. Secrets are told to nobody. Settings are changed in the server's configuration file.
"""

from __future__ import annotations

import os
import platform
import shutil
from functools import cache

from fastapi import APIRouter

import tuneward
from tuneward.accounts.principal import DEFAULT_PROJECT, Principal
from tuneward.config import ServerConfig
from tuneward.jobs.activity import Activity, Work, activity_of
from tuneward.jobs.slots import machine_slots
from tuneward.serve.api.settings_answer import (
    DatabaseFacts,
    Home,
    JobAtWork,
    JudgeFacts,
    LibraryFact,
    MappedModel,
    ServerSettings,
    SettingValue,
    StorageFacts,
    TlsFacts,
    Workers,
    WorkerTask,
)
from tuneward.serve.deps import Admin, Use
from tuneward.serve.health import database_answers
from tuneward.serve.libraries import libraries
from tuneward.serve.server_facts import (
    certificate_ends_at,
    database_address,
    database_kind,
    settings_of,
    without_password,
)
from tuneward.serve.services import Services

routes = APIRouter(prefix="/api", tags=["console"])

TOLD_TO_ALL = ("region", "organization", "workers", "slots", "threads", "limits.", "serving.")
"""Keys that administrators of every project see."""


@routes.get("/settings")
def read_settings(caller: Admin, services: Use) -> ServerSettings:
    """What this server runs with, and what its workers do now."""
    config = services.config
    is_head = caller.project_id == DEFAULT_PROJECT
    is_reachable = database_answers(services.database)
    return ServerSettings(
        version=tuneward.__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        region=config.region,
        home=_home(services) if is_head else None,
        database=_database(services, is_reachable) if is_head else None,
        storage=_storage(config) if is_head else None,
        tls=_tls(config) if is_head else None,
        judges=_judges(services) if is_head else None,
        models=_models(services, is_head),
        workers=_workers(services, caller, is_head) if is_reachable else None,
        settings=[
            SettingValue(key=one.key, value=one.value, is_default=one.is_default, meaning=one.meaning)
            for one in settings_of(config)
            if is_head or one.key.startswith(TOLD_TO_ALL)
        ],
        libraries=[LibraryFact(name=one.name, version=one.version, licence=one.licence) for one in libraries()],
    )


def _home(services: Services) -> Home:
    space = shutil.disk_usage(services.home)
    return Home(path=str(services.home), free_bytes=space.free, total_bytes=space.total)


def _database(services: Services, is_reachable: bool) -> DatabaseFacts:
    database = services.database
    return DatabaseFacts(
        kind=database_kind(database), address=database_address(database.url), is_reachable=is_reachable
    )


def _storage(config: ServerConfig) -> StorageFacts:
    storage = config.storage
    endpoint = storage.endpoint_url or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    place = str(storage.folder) if storage.folder else endpoint and without_password(endpoint)
    buckets = None if storage.buckets is None else list(storage.buckets)
    return StorageFacts(kind="folder" if storage.folder else "s3", place=place, buckets=buckets)


def _tls(config: ServerConfig) -> TlsFacts:
    file = config.tls_certificate
    return TlsFacts(certificate=file and str(file), ends_at=file and certificate_ends_at(file))


def _judges(services: Services) -> JudgeFacts:
    judges = services.judges
    return JudgeFacts(
        provider=judges.provider,
        address=judges.url and without_password(judges.url),
        is_this_server=services.config.judges is None,
        key_variable=judges.key_variable,
        has_key=bool(os.environ.get(judges.key_variable)),
        models=judges.models,
    )


def _models(services: Services, is_head: bool) -> list[MappedModel]:
    loaded = set(services.catalog.loaded)
    return [
        MappedModel(
            id=base.id,
            local=base.local if is_head else None,
            provider=base.provider,
            managed_id=base.managed_id,
            aliases=list(base.aliases),
            is_loaded=bool({base.id, base.local} & loaded),
        )
        for base in services.directory
    ]


def _workers(services: Services, caller: Principal, is_head: bool) -> Workers:
    activity: Activity = services.database.read(lambda session: activity_of(session, caller.project_id))
    return Workers(
        started_here=services.config.workers,
        slots=list(_slots(services.config.slots)),
        tasks=[_task(work, is_told=is_head or work.job.project_id == caller.project_id) for work in activity.work],
        waiting=activity.waiting,
        states=dict(activity.states),
    )


@cache
def _slots(on_processor: int) -> tuple[str, ...]:
    """Asked once: the tool that knows the GPUs takes its time."""
    return machine_slots(ServerConfig(slots=on_processor))


def _task(work: Work, *, is_told: bool) -> WorkerTask:
    host, _, rest = work.worker.partition(":")
    process = rest.partition(":")[0]
    job, progress = work.job, work.job.progress
    return WorkerTask(
        host=host,
        process=int(process) if process.isdigit() else None,
        slot=work.slot,
        state=job.state,
        job=JobAtWork(
            id=job.id,
            name=job.name,
            project_id=job.project_id,
            step=progress.get("step"),
            total_steps=progress.get("total_steps"),
        )
        if is_told
        else None,
        lease_expires_at=work.lease_expires_at,
    )
