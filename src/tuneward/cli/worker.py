"""`tuneward worker`."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer


def worker(
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="The server's configuration, YAML.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when there is nothing to do at the moment.")] = False,
) -> None:
    """Take fine-tuning jobs from a server's queue and train them on this machine.

    One worker is started by `tuneward serve`; further ones, here or on other machines, need the same configuration: the
    same database and the same home folder. Ctrl-C or SIGTERM lets jobs save and go back to the queue; asked twice, the
    worker ends at once, and jobs go on from their newest checkpoint.
    """
    from tuneward.config import ServerConfig, load_section
    from tuneward.jobs.places import home_of, open_database
    from tuneward.jobs.slots import machine_slots
    from tuneward.jobs.worker import Worker

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    settings = load_section(ServerConfig, config)
    home_of(settings).mkdir(parents=True, exist_ok=True, mode=0o700)
    made = Worker(settings, open_database(settings), machine_slots(settings))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: made.stop())
    made.run(once=once)
