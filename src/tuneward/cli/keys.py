"""`tuneward keys` and `tuneward projects`: who may call a server. They work on its database, running or not."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tuneward.cli.common import AsJson, out, print_json

if TYPE_CHECKING:
    from tuneward.accounts.keys import KeyInfo
    from tuneward.config import ServerConfig
    from tuneward.store.database import Database

keys_app = typer.Typer(help="Make, list and revoke the keys of a server.", no_args_is_help=True)
projects_app = typer.Typer(help="Make and list the projects of a server.", no_args_is_help=True)

ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Configuration of the server; without it, its defaults.")
]
Home = Annotated[Path | None, typer.Option("--home", metavar="FOLDER", help="Home of the server.")]

DAY_S = 24 * 3600


@keys_app.command("create")
def create_one(
    name: Annotated[str, typer.Argument(metavar="NAME", help="To tell keys apart.")],
    project: Annotated[str, typer.Option("--project", metavar="ID|NAME", help="Whose key.")] = "proj_default",
    role: Annotated[str, typer.Option(help="viewer, developer or admin.")] = "developer",
    access_key: Annotated[
        bool, typer.Option("--access-key", help="A key and secret for signed requests, as boto3 sends them.")
    ] = False,
    days: Annotated[
        float | None, typer.Option(min=0.001, max=36500, help="How long it holds; for ever without.")
    ] = None,
    config: ConfigFile = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it; it cannot be shown again."""
    from tuneward.accounts.keys import create_access_key, create_key
    from tuneward.accounts.projects import find_project
    from tuneward.accounts.vault import open_vault
    from tuneward.errors import ConfigError
    from tuneward.jobs.places import home_of

    settings, database = _opened(config, home)
    project_id = find_project(database, project).id
    if access_key and days is not None:
        raise ConfigError("--days: access keys do not expire; revoke them instead.")
    if access_key:
        issued = create_access_key(database, open_vault(home_of(settings)), project_id, name, role)
    else:
        expires_at = None if days is None else time.time() + days * DAY_S
        issued = create_key(database, project_id, name, role, expires_at=expires_at)
    if as_json:
        print_json({**asdict(issued.info), "secret": issued.secret})
    elif access_key:
        typer.echo(f"AWS_ACCESS_KEY_ID={issued.info.id}\nAWS_SECRET_ACCESS_KEY={issued.secret}")
    else:
        typer.echo(issued.secret)


@keys_app.command("list")
def list_all(
    project: Annotated[str | None, typer.Option("--project", metavar="ID|NAME", help="Only its keys.")] = None,
    config: ConfigFile = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show the keys, without their secrets."""
    from tuneward.accounts.keys import list_keys
    from tuneward.accounts.projects import find_project

    _, database = _opened(config, home)
    keys = list_keys(database, find_project(database, project).id if project else None)
    if as_json:
        print_json([asdict(key) for key in keys])
        return
    table = Table("id", "name", "project", "role", "ends with", "made", "last used", "state")
    for key in keys:
        days = (_day(key.created_at), _day(key.last_used_at))
        table.add_row(key.id, key.name, key.project_id, key.role, key.hint, *days, _state(key))
    out().print(table)


@keys_app.command("revoke")
def revoke_one(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="`key_…`, or an access key id.")],
    config: ConfigFile = None,
    home: Home = None,
) -> None:
    """End a key; a running server refuses it two seconds later at the latest."""
    from tuneward.accounts.keys import revoke_key

    _, database = _opened(config, home)
    info = revoke_key(database, key_id)
    out().print(f'{info.id} ("{info.name}") is revoked.', markup=False)


@projects_app.command("create")
def create_another(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the project is called.")],
    config: ConfigFile = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a project; its keys see nothing of other projects."""
    from tuneward.accounts.projects import create_project

    _, database = _opened(config, home)
    project = create_project(database, name)
    if as_json:
        print_json({"id": project.id, "name": project.name, "account_id": project.account_id})
    else:
        typer.echo(project.id)


@projects_app.command("list")
def list_projects_of(config: ConfigFile = None, home: Home = None, as_json: AsJson = False) -> None:
    """Show the projects."""
    from tuneward.accounts.projects import list_projects

    _, database = _opened(config, home)
    projects = list_projects(database)
    if as_json:
        print_json([{"id": one.id, "name": one.name, "account_id": one.account_id} for one in projects])
        return
    table = Table("id", "name", "account", "made")
    for project in projects:
        table.add_row(project.id, project.name, project.account_id, _day(project.created_at))
    out().print(table)


def _opened(config: Path | None, home: Path | None) -> tuple[ServerConfig, Database]:
    from tuneward.config import ServerConfig, load_section
    from tuneward.jobs.places import home_of, open_database

    settings = load_section(ServerConfig, config, base={} if home is None else {"home": str(home)})
    home_of(settings).mkdir(parents=True, exist_ok=True, mode=0o700)
    return settings, open_database(settings)


def _state(key: KeyInfo) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= time.time() else "active"


def _day(at: float | None) -> str:
    return "–" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
