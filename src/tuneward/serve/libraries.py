"""The libraries that this program stands on, with their licences, as they are installed here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata, requires

PACKAGE = "tuneward"


@dataclass(frozen=True, slots=True)
class Library:
    """One of them."""

    name: str
    version: str
    licence: str
    """As it says itself; empty when it does not."""


@cache
def libraries() -> tuple[Library, ...]:
    """What this package asks for, extras aside, by name."""
    try:
        wanted = requires(PACKAGE) or []
    except PackageNotFoundError:  # run from its sources
        return ()
    names = {found[0] for line in wanted if "extra ==" not in line and (found := re.match(r"[\w.-]+", line))}
    return tuple(library for name in sorted(names, key=str.lower) if (library := _library(name)))


def _library(name: str) -> Library | None:
    try:
        found = metadata(name)
    except PackageNotFoundError:
        return None
    return Library(found["Name"], found["Version"], _licence(found))


def _licence(found: PackageMetadata) -> str:
    if expression := _field(found, "License-Expression"):
        return expression
    kinds = [line.rpartition(" :: ")[2] for line in found.get_all("Classifier") or () if line.startswith("License ::")]
    whole = _field(found, "License")
    # Some put the whole text there.
    return ", ".join(kinds) or (whole if len(whole) <= 60 and "\n" not in whole else "")


def _field(found: PackageMetadata, name: str) -> str:
    return str(found[name]).strip() if name in found else ""
