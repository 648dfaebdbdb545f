"""`tuneward serve`."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tuneward.cli.common import Overrides, Root, out

if TYPE_CHECKING:
    from tuneward.config import ServerConfig
    from tuneward.jobs.directory import ModelDirectory

NEEDS_KEY = "$TUNEWARD_API_KEY"
ACCESS_KEY = "$(tuneward keys create NAME --access-key)"


def serve(
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Configuration of the server, YAML.")
    ] = None,
    home: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where files, jobs and functions lie.")] = None,
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="postgresql://…; without it, SQLite in the home.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 is this machine alone.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes a free one; else 8000.")] = None,
    tls_certificate: Annotated[Path | None, typer.Option(metavar="FILE", help="PEM; serves https.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="PEM; its key.")] = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", metavar="NAME", help="A base model; may be repeated.")
    ] = None,
    run: Annotated[
        list[str] | None, typer.Option("--run", metavar="NAME", help="A run: its tuned model; may be repeated.")
    ] = None,
    preload: Annotated[bool, typer.Option("--preload", help="Load the base models before the first call.")] = False,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes that train jobs.")] = None,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="None: jobs wait for `tuneward worker`.")] = False,
    max_rows: Annotated[int | None, typer.Option(min=1, help="Answers computed together, for each model.")] = None,
    max_waiting: Annotated[int | None, typer.Option(min=1, help="Answers that may wait; more are refused.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; all when left out.")] = None,
    log_format: Annotated[Literal["text", "json"], typer.Option(help="Of the log on stderr.")] = "text",
    overrides: Overrides = None,
    root: Root = Path("runs"),
) -> None:
    """Serve models and fine-tuning jobs over HTTP, as OpenAI's and Amazon Bedrock's APIs do.

    Callers need a key: the first one is printed when a server starts for the first time, further ones are made with
    `tuneward keys create`. TUNEWARD_API_KEY in the environment is an administrator's key, too.
    """
    from tuneward.config import ServerConfig, load_section

    flags: dict[str, Any] = {
        "home": None if home is None else str(home.absolute()),
        "database": database, "host": host, "port": port, "threads": threads,
        "tls_certificate": None if tls_certificate is None else str(tls_certificate),
        "tls_key": None if tls_key is None else str(tls_key),
        "models": [{"name": name} for name in model] if model else None,
        "workers": 0 if no_worker else workers,
        "serving": {key: n for key, n in (("max_rows", max_rows), ("max_waiting", max_waiting)) if n is not None},
    }  # fmt: skip
    given = {key: value for key, value in flags.items() if value is not None and value != {}}
    settings = load_section(ServerConfig, config, tuple(overrides or ()), given)
    _Serving(settings, run or [], root, log_format).until_stopped(preload=preload)


class _Serving:
    """One run of the command.

    Args:
        settings: of the server.
        runs: whose tuned models are served beside those of jobs.
        root: where runs are.
        log_format: of the log on stderr.
    """

    def __init__(self, settings: ServerConfig, runs: list[str], root: Path, log_format: Literal["text", "json"]):
        self._settings, self._runs, self._root, self._log_format = settings, runs, root, log_format
        self._console = out()
        self._stopped = threading.Event()

    def until_stopped(self, *, preload: bool) -> None:
        """Serve until SIGINT or SIGTERM; a second one cuts off what is under way."""
        from tuneward.accounts.keys import ENVIRONMENT_KEY, ensure_first_key
        from tuneward.config import ConnectionConfig
        from tuneward.jobs.directory import ModelDirectory
        from tuneward.jobs.models import ModelService
        from tuneward.jobs.places import home_of, open_database
        from tuneward.serve import logs
        from tuneward.serve.app import create_app
        from tuneward.serve.build import build_services
        from tuneward.serve.host import ModelHost
        from tuneward.serve.internal_key import VARIABLE, internal_key
        from tuneward.serve.runs import open_runs
        from tuneward.serve.server import Server, address_of, bind, tls_context
        from tuneward.serve.worker_processes import WorkerProcesses

        settings = self._settings
        logs.configure(self._log_format)
        tls = None if settings.tls_certificate is None else tls_context(settings.tls_certificate, settings.tls_key)
        directory = ModelDirectory(settings)
        runs = open_runs(self._runs, self._root)
        self._check(directory, runs)
        with ExitStack() as stack:
            listener = stack.enter_context(bind(settings.host, settings.port))
            url = _reachable(address_of(listener, is_tls=tls is not None))
            home = home_of(settings)
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            store = open_database(settings)
            stack.callback(store.close)
            first_key = ensure_first_key(store, home)
            own = {VARIABLE: stack.enter_context(internal_key(store))}
            os.environ.update(own)  # graders that are tried over HTTP run in this process
            here = ConnectionConfig(url=f"{url}/v1", key_variable=VARIABLE)
            host = ModelHost(
                directory, ModelService(store, home), settings.serving, threads=settings.threads, runs=runs
            )
            stack.callback(host.close)
            if preload:
                with self._console.status("loading"):
                    for base in directory:
                        host.preload(base.id)
            server = Server(create_app(build_services(settings, host, judges=here, database=store)), listener, tls=tls)
            whole = settings.model_copy(update={"home": home, "judges": settings.judges or here})
            file = stack.enter_context(_written(whole))
            workers = WorkerProcesses(settings.workers, ["worker", "--config", str(file)], own)

            def stop(_number: int, _frame: object) -> None:
                if self._stopped.is_set():  # asked twice
                    workers.stop_at_once()
                    server.stop_at_once()
                self._stopped.set()

            stack.enter_context(_signals_to(stop))
            server.start()
            stack.callback(server.stop)
            workers.start()
            stack.callback(workers.stop)  # before the server: what they train may be asking it
            self._greet(server.url, [*(base.id for base in directory), *runs], first_key)
            if os.environ.get(ENVIRONMENT_KEY) is None and first_key is None:
                self._console.print("Keys: tuneward keys list, tuneward keys create NAME.", style="dim")
            self._stopped.wait()
            self._console.print("Stopping; jobs are saved, and answers under way may end.")

    def _check(self, directory: ModelDirectory, runs: Collection[str]) -> None:
        """Say at once what could not be loaded later. Raises ConfigError, ModelError."""
        from tuneward.errors import ConfigError, ModelError
        from tuneward.models.pull import EMBEDDED
        from tuneward.models.resolve import resolve

        for base in directory:
            if base.id in runs:
                raise ConfigError(f'Two models would be called "{base.id}"; name each run and model once.')
            is_path = base.local.startswith((".", "/", "~")) or base.local.count("/") != 1 or Path(base.local).exists()
            if base.local not in EMBEDDED and (not is_path or base.local.endswith(".gguf")):
                continue  # fetched or converted when it is called first
            try:
                resolve(base.local)
            except ModelError as error:
                if "models" in self._settings.model_fields_set:
                    raise
                self._console.print(f"[yellow]warning:[/] {error}", soft_wrap=True)

    def _greet(self, url: str, names: list[str], first_key: str | None) -> None:
        def say(text: str, style: str = "dim") -> None:
            self._console.print(text, style=style, markup=False, soft_wrap=True)

        self._console.print(f"Serving {', '.join(names)} at [bold]{url}/v1[/]; Ctrl-C stops it.", soft_wrap=True)
        self._console.print(f"Console: [bold]{url}/[/]", soft_wrap=True)
        say(example(url, names[0]))
        if first_key is not None:
            say("The first key, an administrator's. It is not shown again:", style="bold")
            say(f"export TUNEWARD_API_KEY={first_key}", style="bold")
        say(f"OpenAI: export OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY={NEEDS_KEY}")
        # Without TLS boto3 sends no bearer key.
        key = f"AWS_BEARER_TOKEN_BEDROCK={NEEDS_KEY}" if url.startswith("https") else ACCESS_KEY
        endpoints = " ".join(
            f"AWS_ENDPOINT_URL_{service}={url}" for service in ("BEDROCK", "BEDROCK_RUNTIME", "LAMBDA")
        )
        say(f"AWS:    export {endpoints} AWS_DEFAULT_REGION={self._settings.region} {key}")


def example(url: str, model: str) -> str:
    """A command that asks the server something."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    key = f'-H "Authorization: Bearer {NEEDS_KEY}"'
    return f"curl {url}/v1/chat/completions {key} -H 'Content-Type: application/json' -d '{json.dumps(body)}'"


def _reachable(url: str) -> str:
    """The address at which this machine reaches what listens on all of its addresses."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


@contextmanager
def _written(settings: ServerConfig) -> Iterator[Path]:
    """The whole configuration, flags included, in a file that only this user can read."""
    with tempfile.TemporaryDirectory(prefix="tuneward-") as folder:  # mode 0700
        path = Path(folder) / "server.yaml"
        path.write_text(settings.model_dump_json(exclude_none=True), encoding="utf-8")  # JSON is YAML
        yield path


@contextmanager
def _signals_to(handler: Any) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, usual in before.items():
            signal.signal(number, usual)
