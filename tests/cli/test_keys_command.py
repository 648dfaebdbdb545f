"""`tuneward keys` and `tuneward projects`, and the commands of the page about security."""

from __future__ import annotations

import json
import re
import shlex
import stat
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.serve.accounts import bearer
from tests.service import app_with
from typer.testing import CliRunner

from tuneward.cli.app import app
from tuneward.config import ServerConfig
from tuneward.errors import TunewardError
from tuneward.jobs.places import open_database
from tuneward.serve.auth import KeyAuthenticator

PAGE = Path(__file__).parents[2] / "docs" / "security.md"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUNEWARD_HOME", str(tmp_path))
    monkeypatch.delenv("TUNEWARD_SECRET_KEY", raising=False)
    return tmp_path / "server"


def tuneward(*words: str) -> str:
    """What a command prints. Raises what `main` makes a sentence of."""
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_key_made_on_the_command_line_is_let_in_until_it_is_revoked(home: Path) -> None:
    key = tuneward("keys", "create", "ci", "--role", "viewer").strip()
    database = open_database(ServerConfig(home=home))
    with TestClient(app_with(home, authenticate=KeyAuthenticator(database, home))) as client:
        assert client.get("/v1/models", headers=bearer(key)).status_code == 200
    listed = json.loads(tuneward("keys", "list", "--json"))
    assert [(one["name"], one["role"]) for one in listed] == [("ci", "viewer")]
    assert key not in json.dumps(listed)
    assert "revoked" in tuneward("keys", "revoke", listed[0]["id"])
    with TestClient(app_with(home, authenticate=KeyAuthenticator(database, home))) as client:
        assert client.get("/v1/models", headers=bearer(key)).status_code == 401
    database.close()


def test_the_secrets_key_is_for_its_owner_alone_and_mistakes_are_sentences(home: Path) -> None:
    said = tuneward("keys", "create", "boto", "--access-key")
    assert re.fullmatch(r"AWS_ACCESS_KEY_ID=TWAK[A-Z2-7]{16}\nAWS_SECRET_ACCESS_KEY=\S{40}\n", said)
    assert stat.S_IMODE((home / "secret.key").stat().st_mode) == 0o600
    for words, sentence in (
        (("keys", "create", "x", "--role", "owner"), "role: expected viewer"),
        (("keys", "create", "x", "--project", "none"), "no project"),
        (("keys", "create", "x", "--access-key", "--days", "3"), "do not expire"),
        (("keys", "revoke", "key_none"), "no key"),
    ):
        with pytest.raises(TunewardError, match=sentence):
            tuneward(*words)


def test_the_commands_of_the_page_work_in_their_order() -> None:
    (block,) = re.findall(r"```bash\n(.*?)```", PAGE.read_text(), re.DOTALL)
    commands = [shlex.split(line) for line in block.splitlines()]
    assert len(commands) >= 6
    for program, *words in commands:
        assert program == "tuneward"
        tuneward(*words)
