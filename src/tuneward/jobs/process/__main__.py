"""`python -m tuneward.jobs.process`: one job, as the worker's order on standard input says."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from typing import NoReturn

from tuneward import native
from tuneward.errors import StoreError, TunewardError
from tuneward.jobs.journal import Journal
from tuneward.jobs.lease import LeaseLostError, held
from tuneward.jobs.order import EXIT_LATER, EXIT_LOST, Order
from tuneward.jobs.places import database_url, home_of
from tuneward.jobs.spec import JobSpec
from tuneward.store.database import Database

log = logging.getLogger("tuneward.jobs.process")


def main() -> int:
    """Work on a job; returns the exit status."""
    order = Order.model_validate_json(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_worker, daemon=True).start()
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format=f"%(asctime)s %(levelname)s job {order.job_id}: %(message)s"
    )
    native.settle(is_alone=False)
    database = Database(database_url(order.server))
    journal = Journal(database, order.lease, on_lost=_end_at_once, check_s=order.check_s)
    try:
        return _work(order, database, journal, asked)
    except LeaseLostError as error:
        log.warning("%s", error)
        return EXIT_LOST
    except StoreError as error:
        log.warning("%s", error)
        return EXIT_LATER
    finally:
        journal.close()
        database.close()


def _work(order: Order, database: Database, journal: Journal, asked: threading.Event) -> int:
    spec = database.read(lambda session: held(session, order.lease).spec)
    # What follows loads torch, which takes seconds: a job that is lost or cancelled does not get that far.
    from tuneward.jobs.process.context import AskedToEndError, JobContext
    from tuneward.jobs.process.ending import fail
    from tuneward.jobs.process.failures import describe
    from tuneward.jobs.process.training import train
    from tuneward.jobs.process.validation import validate

    context = JobContext(
        order.server,
        home_of(order.server),
        database,
        journal,
        order.job_id,
        order.project_id,
        JobSpec.model_validate(spec),
        asked,
    )
    context.use_functions()
    try:
        context.home.mkdir(parents=True, exist_ok=True)
        if order.state == "validating":
            validate(context)
        else:
            train(context)
    except (LeaseLostError, StoreError):
        raise
    except AskedToEndError as error:
        log.info("%s", error)
        return EXIT_LATER
    except KeyboardInterrupt:
        return EXIT_LATER
    except TunewardError as error:
        log.info("failed: %s", error)
        fail(context, describe(error, context))
    except Exception as error:
        log.exception("unexpected failure")
        fail(context, describe(error, context))
    return 0


def _end_with_worker() -> None:
    """Wait for the end of standard input, which only comes with the worker's."""
    while os.read(0, 1):  # not through `sys.stdin`, whose lock would be held when the interpreter ends
        pass
    _end_at_once(None)


def _end_at_once(reason: LeaseLostError | None) -> NoReturn:
    """End this process and its children, wherever they are."""
    print(reason or "the worker is gone", file=sys.stderr, flush=True)
    os.killpg(0, signal.SIGKILL)
    os._exit(EXIT_LOST)


if __name__ == "__main__":
    sys.exit(main())
