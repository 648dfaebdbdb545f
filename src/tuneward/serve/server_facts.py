"""What a server runs with, without its secrets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from cryptography import x509
from pydantic import BaseModel
from sqlalchemy import make_url

from tuneward.config import ServerConfig
from tuneward.config.load import section_of
from tuneward.store.database import Database
from tuneward.types import Json


@dataclass(frozen=True, slots=True)
class Setting:
    """A key of the server's configuration."""

    key: str
    """As in the file, such as `limits.upload_bytes`."""
    value: Json
    is_default: bool
    meaning: str


ADDRESSES = ("judges.url", "storage.endpoint_url")
"""May hold a password."""


def settings_of(config: ServerConfig) -> list[Setting]:
    """Every key; of the database only where it is."""
    return list(_settings(config, ""))


def _settings(section: BaseModel, prefix: str) -> Iterator[Setting]:
    for name, field in type(section).model_fields.items():
        key, value = f"{prefix}{name}", getattr(section, name)
        default = field.get_default(call_default_factory=True, validated_data={})
        if isinstance(value, BaseModel):
            yield from _settings(value, f"{key}.")
            continue
        if value is None and section_of(field.annotation) is not None:
            shown: Json = None
        elif key == "database":
            shown = value and database_address(value)
        elif key in ADDRESSES:
            shown = value and without_password(value)
        else:
            shown = section.model_dump(mode="json", include={name})[name]
        yield Setting(key, shown, value == default, " ".join((field.description or "").split()))


def database_address(url: str) -> str:
    """Where a database is: without user, password and parameters."""
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        return parts.database or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.host or 'localhost'}{port}/{parts.database or ''}"


def database_kind(database: Database) -> Literal["sqlite", "postgresql"]:
    return "sqlite" if database.is_sqlite else "postgresql"


def without_password(address: str) -> str:
    """An HTTP address without user, password and query."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def certificate_ends_at(certificate: Path) -> float | None:
    """Seconds since 1970; None when the file cannot be read."""
    try:
        return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc.timestamp()
    except (OSError, ValueError):
        return None
