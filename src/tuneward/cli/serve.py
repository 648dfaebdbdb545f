"""`tuneward serve`."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from tuneward.cli.common import Root, out

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    model: Annotated[
        list[str] | None, typer.Option("--model", metavar="NAME", help="A model; may be repeated.")
    ] = None,
    run: Annotated[
        list[str] | None, typer.Option("--run", metavar="NAME", help="A run: its tuned model; may be repeated.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 127.0.0.1 is this machine alone.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    max_rows: Annotated[int, typer.Option(min=1, help="Answers computed together, for each base model.")] = 32,
    max_waiting: Annotated[int, typer.Option(min=1, help="Answers that may wait; more are refused (429).")] = 256,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; all when left out.")] = None,
    root: Root = Path("runs"),
) -> None:
    """Answer chats over HTTP as OpenAI's API does, with models and with tuned models of runs.

    With TUNEWARD_API_KEY set, callers must send that key.
    """
    from tuneward.config import ConnectionConfig, ServerConfig
    from tuneward.serve.app import create_app
    from tuneward.serve.auth import fixed_key
    from tuneward.serve.build import build_services
    from tuneward.serve.load import load_catalog
    from tuneward.serve.server import Server, address_of, bind

    console = out()
    key = os.environ.get("TUNEWARD_API_KEY") or None
    listener = bind(host, port)
    with listener:
        with console.status("loading"):
            catalog = load_catalog(
                model or [], run or [], root=root, max_rows=max_rows, max_waiting=max_waiting, threads=threads
            )
        names = [served.id for served in catalog.models]
        # Graders that are models may name the models served here.
        here = ConnectionConfig(url=f"{address_of(listener)}/v1", key_variable="TUNEWARD_API_KEY")
        services = build_services(ServerConfig(host=host, port=port), catalog, fixed_key(key), judges=here)
        server = Server(create_app(services), listener)
        stopped = threading.Event()

        def stop(_number: int, _frame: object) -> None:
            if stopped.is_set():  # asked twice
                server.stop_at_once()
            stopped.set()

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            server.start()
            console.print(f"Serving {', '.join(names)} at [bold]{server.url}/v1[/]; Ctrl-C stops it.", soft_wrap=True)
            console.print(
                example(server.url, names[0], has_key=key is not None), style="dim", markup=False, soft_wrap=True
            )
            if key is None and host not in LOOPBACK:
                console.print("[yellow]Anybody who reaches this address may use it; set TUNEWARD_API_KEY.[/]")
            stopped.wait()
            console.print("Stopping; answers under way may end.")
            server.stop()
        finally:
            catalog.close()
            for number, handler in before.items():
                signal.signal(number, handler)


def example(url: str, model: str, *, has_key: bool) -> str:
    """A command that asks the server something."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    key = ' -H "Authorization: Bearer $TUNEWARD_API_KEY"' if has_key else ""
    return f"curl {url}/v1/chat/completions{key} -H 'Content-Type: application/json' -d '{json.dumps(body)}'"
