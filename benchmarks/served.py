"""`tuneward serve` as a process of its own, as a user starts it, for the benchmarks that ask it something."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

KEY = "bench-key"
"""An administrator's."""


@contextmanager
def serving(config: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, int]]:
    """A server; yields its URL and its process id.

    Args:
        config: the server's, as its YAML file would have it.
        folder: where that file is written.
    """
    path = folder / "server.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    command = [sys.executable, "-m", "tuneward", "serve", "--config", str(path), "--port", "0"]
    environment = os.environ | {"TUNEWARD_API_KEY": KEY, "COLUMNS": "200"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = next((url for line in server.stdout if (url := re.search(r"http://[\d.]+:\d+", line))), None)
        if found is None:
            raise SystemExit("the server did not start")
        try:
            yield found[0], server.pid
        finally:
            server.terminate()
            server.communicate(timeout=60)
