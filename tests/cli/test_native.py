"""What the command line sets for the native libraries before they are loaded."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from tuneward import native
from tuneward.cli.app import app

NAMES = ("GOMP_SPINCOUNT", "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
GROWTH = """
import torch
from tuneward import native
{settled}

def resident_mb():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1]) / 1024

weight = torch.ops.mkldnn._reorder_linear_weight(torch.randn(1536, 576), 64)
x = torch.randn(300, 576)
with torch.inference_mode():
    torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
    before = resident_mb()
    for rows in range(1, 300):
        torch.ops.mkldnn._linear_pointwise(x[:rows], weight, None, "none", [], "")
print(resident_mb() - before)
"""
"""Megabytes that a process grows by when one weight is multiplied with 299 different numbers of rows."""


@pytest.mark.parametrize(
    ("command", "spins"),
    [("train", native.SPINS), ("serve", native.SPINS_SHARING), ("worker", native.SPINS_SHARING)],
)
def test_threads_wait_briefly_where_others_use_the_same_cores(
    command: str, spins: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        monkeypatch.delenv(name)

    CliRunner().invoke(app, [command, "--help"], catch_exceptions=False)

    assert [os.environ[name] for name in NAMES] == [spins, native.KEPT_PRODUCTS, native.KEPT_PRODUCTS]


def test_the_environment_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "7")

    CliRunner().invoke(app, ["train", "--help"], catch_exceptions=False)

    assert [os.environ[name] for name in NAMES] == ["7", "7", "7"]


def test_products_of_many_different_sizes_leave_little_behind() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}

    def growth(settled: str) -> float:
        code = GROWTH.format(settled=settled)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
        return float(done.stdout)

    usual, bounded = growth(""), growth("native.settle(is_alone=True)")

    assert bounded < usual / 3, (usual, bounded)
