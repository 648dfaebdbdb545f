"""Springs a trap in a process of the service; Python imports this by its name at every start, see `tests.faults.traps`.

The trap is a function of the product. The process that is the first to get there, as often as the trap says, kills its
victim with SIGKILL: itself, its worker or the server.
"""

from __future__ import annotations

import functools
import importlib.machinery
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

ROLES = {"serve": "server", "tuneward.cli.attached": "worker", "tuneward.jobs.process": "job"}


def role() -> str | None:
    return next((name for word, name in ROLES.items() if word in sys.orig_argv), None)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


class Trap:
    """Waits for a module, and changes one function of it as soon as it has been imported."""

    def __init__(self, told: dict[str, Any]):
        self.module, _, self.function = told["at"].partition(":")
        self.told = told
        self.count = 0

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != self.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        assert spec is not None
        assert spec.loader is not None
        run = spec.loader.exec_module

        def run_and_set(module: Any) -> None:
            run(module)
            self.set(module)

        spec.loader.exec_module = run_and_set  # type: ignore[method-assign]
        return spec

    def set(self, module: Any) -> None:
        *path, name = self.function.split(".")
        owner = functools.reduce(getattr, path, module)
        original = getattr(owner, name)

        @functools.wraps(original)
        def trapped(*arguments: Any, **named: Any) -> Any:
            is_meant = self.told["argument"] in (None, *arguments[:1])
            if is_meant and self.told["when"] == "before":
                self.spring()
            result = original(*arguments, **named)
            if is_meant and self.told["when"] == "after":
                self.spring()
            return result

        setattr(owner, name, trapped)

    def spring(self) -> None:
        self.count += 1
        if self.count < self.told["count"]:
            return
        worker = os.getpid() if role() == "worker" else os.getppid()
        victims = {"self": os.getpid, "worker": lambda: worker, "server": lambda: parent_of(worker)}
        victim = victims[self.told["victim"]]()
        try:
            os.close(os.open(self.told["marker"], os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        os.kill(victim, signal.SIGKILL)


given = os.environ.get("TUNEWARD_TEST_TRAP")
if given:
    described = json.loads(given)
    if role() == described["role"] and not Path(described["marker"]).exists():
        sys.meta_path.insert(0, Trap(described))  # type: ignore[arg-type]
