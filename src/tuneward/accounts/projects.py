"""Projects: who owns things."""

from __future__ import annotations

import time
import unicodedata

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tuneward.accounts.principal import DEFAULT_PROJECT
from tuneward.accounts.problems import AccountError, UnknownAccountError
from tuneward.store.database import Database
from tuneward.store.ids import new_id
from tuneward.store.tables import Project

DEFAULT_ACCOUNT = "000000000000"
MOST_PROJECTS = 10_000
"""Account ids are 00000000 and four digits, so that they are no real account's of AWS."""
LONGEST_NAME = 100


def ensure_default_project(database: Database) -> None:
    """Make the first project, once."""

    def is_there(session: Session) -> bool:
        return session.get(Project, DEFAULT_PROJECT) is not None

    def work(session: Session) -> None:
        if not is_there(session):
            session.add(Project(id=DEFAULT_PROJECT, name="default", account_id=DEFAULT_ACCOUNT, created_at=time.time()))

    if database.read(is_there):
        return
    try:
        database.write(work)
    except IntegrityError:
        if not database.read(is_there):  # else another process was first
            raise


def create_project(database: Database, name: str) -> Project:
    """A further project with an account id of its own.

    Raises:
        AccountError: the name is taken or no name, or there are 10 000 projects.
    """
    name = checked_name(name)

    def work(session: Session) -> Project:
        if session.scalar(select(Project.id).where(Project.name == name)):
            raise AccountError(f'A project named "{name}" exists already; choose another name.')
        number = int(session.scalar(select(func.max(Project.account_id))) or DEFAULT_ACCOUNT) + 1
        if number >= MOST_PROJECTS:
            raise AccountError(f"This server has {MOST_PROJECTS} projects, which is as many as it can have.")
        project = Project(id=new_id("proj_"), name=name, account_id=f"{number:012d}", created_at=time.time())
        session.add(project)
        session.flush()
        return project

    for _ in range(3):
        try:
            return database.write(work)
        except IntegrityError:  # another process took the name or the number in between
            continue
    raise AccountError(f'The project "{name}" could not be made, because others are being made; try again.')


def list_projects(database: Database) -> list[Project]:
    """All, oldest first."""
    return database.read(lambda session: list(session.scalars(select(Project).order_by(Project.account_id))))


def find_project(database: Database, reference: str) -> Project:
    """By id or name. Raises UnknownAccountError."""

    def work(session: Session) -> Project | None:
        by_name = select(Project).where(Project.name == reference)
        return session.get(Project, reference) or session.scalar(by_name)

    project = database.read(work) if "\0" not in reference else None
    if project is None:
        raise UnknownAccountError(
            f'There is no project "{reference[:LONGEST_NAME]}"; `tuneward projects list` shows them.'
        )
    return project


def checked_name(name: str) -> str:
    """A name of a project or key as people read it. Raises AccountError."""
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME or any(unicodedata.category(letter)[0] == "C" for letter in name):
        raise AccountError(f"name: expected 1 to {LONGEST_NAME} printable characters.")
    return name
