"""The caller of a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["viewer", "developer", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "developer", "admin")
"""Each may do what those before it may: read; make, run and call; manage keys, projects and logging."""

DEFAULT_PROJECT = "proj_default"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, for which project."""

    key_id: str
    """`key_…` or an access key id."""
    project_id: str
    account_id: str
    """12 digits, the project's; stands in ARNs."""
    role: Role
    name: str = ""
    """What the key is called."""

    def may(self, role: Role) -> bool:
        return ROLES.index(self.role) >= ROLES.index(role)
