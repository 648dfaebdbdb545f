"""What is silenced while models load belongs to the process: it comes back whole, however threads overlap."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from transformers.utils import logging

from tuneward.models.quiet import quiet_libraries

FIRST_ASK = """
import sys, threading
from pathlib import Path
from tuneward.config import LoraConfig
from tuneward.engine.shape import read_shape
from tuneward.models.chat import ChatTokenizer

folder, start, failed = Path(sys.argv[1]), threading.Barrier(2), []

def ask(work):
    start.wait()
    try:
        work()
    except BaseException as error:
        failed.append(error)

asks = (lambda: ChatTokenizer.load(folder), lambda: read_shape(folder, "tiny", LoraConfig()))
threads = [threading.Thread(target=ask, args=(work,)) for work in asks]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failed, failed
assert sys.stderr is sys.__stderr__
"""


def test_blocks_that_overlap_leave_everything_as_it_was() -> None:
    stderr, level = sys.stderr, logging.get_verbosity()
    first, second = quiet_libraries(), quiet_libraries()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert sys.stderr is not stderr
    second.__exit__(None, None, None)
    assert sys.stderr is stderr
    assert logging.get_verbosity() == level


def test_a_block_that_fails_leaves_everything_as_it_was() -> None:
    stderr = sys.stderr
    with pytest.raises(ValueError, match="broken"), quiet_libraries():
        raise ValueError("broken")
    assert sys.stderr is stderr


@pytest.mark.slow
def test_threads_may_ask_for_the_libraries_at_the_same_time(tiny_chat_model: Path) -> None:
    for _ in range(3):
        subprocess.run([sys.executable, "-c", FIRST_ASK, str(tiny_chat_model)], check=True)
