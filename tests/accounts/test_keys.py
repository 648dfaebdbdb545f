"""Keys and projects: what is kept of them, who gets one, how they end."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sqlalchemy import text

from tuneward.accounts.keys import (
    create_access_key,
    create_key,
    digest_of,
    ensure_first_key,
    list_keys,
    revoke_key,
)
from tuneward.accounts.lookup import FRESH_S, KeyLookup
from tuneward.accounts.principal import DEFAULT_PROJECT, Principal
from tuneward.accounts.problems import AccountError, UnknownAccountError
from tuneward.accounts.projects import create_project, ensure_default_project, find_project, list_projects
from tuneward.accounts.vault import VARIABLE, Vault, open_vault
from tuneward.errors import ConfigError
from tuneward.store.database import Database


@pytest.fixture
def vault() -> Vault:
    return Vault("a passphrase of more than thirty-two letters")


def everything_in(database: Database) -> str:
    """All cells of the tables of keys, as text."""
    tables = ("api_keys", "access_keys")
    rows = [
        database.read(lambda session, name=name: session.execute(text(f"SELECT * FROM {name}")).all())
        for name in tables
    ]
    return repr(rows)


def test_a_secret_is_nowhere_in_the_database(database: Database, vault: Vault) -> None:
    key = create_key(database, DEFAULT_PROJECT, "mine", "viewer")
    access = create_access_key(database, vault, DEFAULT_PROJECT, "boto", "developer")
    kept = everything_in(database)
    assert key.secret.startswith("tw-")
    assert len(key.secret) > 40
    assert len(access.info.id) == 20
    assert key.secret not in kept
    assert access.secret not in kept
    assert digest_of(key.secret.encode()) in kept
    assert key.info.hint == key.secret[-4:]


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\0b", "a\u202eb", "\x1b[31m"])
def test_names_must_be_printable(database: Database, name: str) -> None:
    with pytest.raises(AccountError, match="name"):
        create_key(database, DEFAULT_PROJECT, name, "viewer")


def test_roles_times_and_projects_are_checked(database: Database) -> None:
    with pytest.raises(AccountError, match="role"):
        create_key(database, DEFAULT_PROJECT, "mine", "owner")
    with pytest.raises(AccountError, match="past"):
        create_key(database, DEFAULT_PROJECT, "mine", "viewer", expires_at=time.time() - 1)
    with pytest.raises(UnknownAccountError):
        create_key(database, "proj_none", "mine", "viewer")
    assert list_keys(database) == []


def test_only_the_owner_can_revoke_and_the_first_time_counts(database: Database) -> None:
    other = create_project(database, "other")
    key = create_key(database, DEFAULT_PROJECT, "mine", "viewer").info
    with pytest.raises(UnknownAccountError):
        revoke_key(database, key.id, other.id)
    first = revoke_key(database, key.id, DEFAULT_PROJECT)
    again = revoke_key(database, key.id)
    assert first.revoked_at is not None
    assert again.revoked_at == first.revoked_at


def test_projects_have_account_ids_of_their_own_that_are_nobodys_at_aws(database: Database) -> None:
    made = [create_project(database, name) for name in ("b", "c")]
    assert [project.account_id for project in list_projects(database)] == [
        "000000000000",
        "000000000001",
        "000000000002",
    ]
    assert find_project(database, "c").id == made[1].id
    assert find_project(database, made[0].id).name == "b"
    with pytest.raises(AccountError, match="exists"):
        create_project(database, "b")
    with pytest.raises(UnknownAccountError):
        find_project(database, "nobody\0")


def test_the_default_project_is_made_once(database: Database) -> None:
    ensure_default_project(database)
    assert [project.id for project in list_projects(database)] == [DEFAULT_PROJECT]


def test_the_first_key_is_an_administrators_and_is_made_once(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEWARD_API_KEY", "one of my own")
    assert ensure_first_key(database, tmp_path) is None
    assert list_keys(database) == []
    monkeypatch.delenv("TUNEWARD_API_KEY")
    key = ensure_first_key(database, tmp_path)
    assert key is not None
    found = KeyLookup(database, tmp_path).bearer(key.encode())
    assert found is not None
    assert found.principal.role == "admin"
    assert found.principal.project_id == DEFAULT_PROJECT
    assert ensure_first_key(database, tmp_path) is None
    revoke_key(database, found.principal.key_id)
    assert ensure_first_key(database, tmp_path) is None, "a revoked key must not come back as a new one"


def test_a_lookup_knows_who_a_key_stands_for(database: Database, tmp_path: Path) -> None:
    project = create_project(database, "other")
    key = create_key(database, project.id, "mine", "developer", expires_at=time.time() + 60)
    access = create_access_key(database, open_vault(tmp_path), project.id, "boto", "viewer")
    lookup = KeyLookup(database, tmp_path)
    found, signer = lookup.bearer(key.secret.encode()), lookup.access_key(access.info.id)
    assert found is not None
    assert signer is not None
    assert found.principal == Principal(key.info.id, project.id, project.account_id, "developer", "mine")
    assert found.expires_at == key.info.expires_at
    assert signer.principal == Principal(access.info.id, project.id, project.account_id, "viewer", "boto")
    assert signer.secret == access.secret
    assert lookup.bearer(b"tw-unknown") is None
    assert lookup.access_key("TWAKUNKNOWN") is None


def test_a_revoked_key_is_forgotten_within_seconds(database: Database, tmp_path: Path) -> None:
    now = time.time()
    lookup = KeyLookup(database, tmp_path, clock=lambda: now)
    key = create_key(database, DEFAULT_PROJECT, "mine", "viewer")
    digest = digest_of(key.secret.encode())
    assert lookup.remembered(digest) is None
    lookup.bearer(key.secret.encode())
    assert lookup.remembered(digest) is not None
    revoke_key(database, key.info.id)
    assert lookup.bearer(key.secret.encode()) is None
    now += FRESH_S
    assert lookup.remembered(digest) is None


def test_use_is_noted_once_a_minute(database: Database, tmp_path: Path) -> None:
    now = 1000.0
    key = create_key(database, DEFAULT_PROJECT, "mine", "viewer")

    def used_at() -> float | None:
        return list_keys(database)[0].last_used_at

    lookup = KeyLookup(database, tmp_path, clock=lambda: now)
    assert used_at() is None
    lookup.bearer(key.secret.encode())
    now = 1059.0
    lookup.bearer(key.secret.encode())
    lookup.close()
    assert used_at() == 1000.0
    lookup = KeyLookup(database, tmp_path, clock=lambda: now)
    lookup.bearer(key.secret.encode())
    lookup.close()
    assert used_at() == 1059.0


def test_a_vault_opens_only_what_it_sealed_for_the_same_owner(vault: Vault) -> None:
    sealed = vault.seal("secret", "TWAK1")
    assert b"secret" not in sealed
    assert vault.open(sealed, "TWAK1") == "secret"
    assert vault.seal("secret", "TWAK1") != sealed
    for cut, owner, key in (
        (sealed, "TWAK2", vault),
        (sealed[:-1], "TWAK1", vault),
        (sealed, "TWAK1", Vault("y" * 40)),
    ):
        with pytest.raises(AccountError, match="cannot be decrypted"):
            key.open(cut, owner)


def test_the_key_of_the_vault_is_made_once_and_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    home = tmp_path / "home"
    sealed = open_vault(home).seal("secret", "a")
    path = home / "secret.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in home.iterdir()] == ["secret.key"]
    assert open_vault(home).open(sealed, "a") == "secret"
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        open_vault(home)
    monkeypatch.setenv(VARIABLE, "z" * 40)
    with pytest.raises(AccountError):
        open_vault(home).open(sealed, "a")
    monkeypatch.setenv(VARIABLE, "too short")
    with pytest.raises(ConfigError, match=VARIABLE):
        open_vault(home)
