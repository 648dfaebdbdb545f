"""Keep library chatter away from the user's terminal."""

from __future__ import annotations

import contextlib
import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tuneward.models.importing import IMPORTING

_LOCK = threading.Lock()
_blocks = 0
_undo = ExitStack()


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence progress bars and warnings of the model libraries inside the block.

    What is silenced belongs to the whole process. Blocks of several threads may overlap: the first one silences, the
    last one ends it, so that none puts back what another had put there.
    """
    global _blocks
    with _LOCK:
        if _blocks == 0:
            _silence(_undo)
        _blocks += 1
    try:
        yield
    finally:
        with _LOCK:
            _blocks -= 1
            if _blocks == 0:
                _undo.close()


def _silence(undo: ExitStack) -> None:
    with IMPORTING:
        from transformers.utils import logging

    undo.callback(logging.set_verbosity, logging.get_verbosity())
    logging.set_verbosity_error()
    if logging.is_progress_bar_enabled():
        undo.callback(logging.enable_progress_bar)
    logging.disable_progress_bar()
    undo.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")
    # The GGUF reader draws its own bar on stderr, past the libraries' switches.
    undo.enter_context(contextlib.redirect_stderr(io.StringIO()))
