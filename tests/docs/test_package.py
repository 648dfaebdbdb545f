"""What is installed is whole: the console is in the wheel, built, and nothing of its sources."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_wheel_holds_the_built_console(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, timeout=280)
    (wheel,) = tmp_path.glob("tuneward-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "tuneward/console/index.html" in names
    assert any(name.startswith("tuneward/console/assets/index-") and name.endswith(".js.br") for name in names)
    assert not [name for name in names if "node_modules" in name or name.endswith((".ts", ".tsx"))]
