"""How long torch's threads wait in a loop: briefly where others compute beside them, longer in a command of its own."""

from __future__ import annotations

import os

import pytest
from typer.testing import CliRunner

from tuneward.cli.app import SPINS, SPINS_SHARING, app


@pytest.mark.parametrize(("command", "spins"), [("train", SPINS), ("serve", SPINS_SHARING), ("worker", SPINS_SHARING)])
def test_a_command_that_shares_its_cores_waits_briefly(
    command: str, spins: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT")

    CliRunner().invoke(app, [command, "--help"], catch_exceptions=False)

    assert os.environ["GOMP_SPINCOUNT"] == spins


def test_the_environment_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")

    CliRunner().invoke(app, ["train", "--help"], catch_exceptions=False)

    assert os.environ["GOMP_SPINCOUNT"] == "7"
