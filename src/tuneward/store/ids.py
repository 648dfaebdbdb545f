"""Names of new things."""

from __future__ import annotations

import secrets
import string

ALPHABET = string.ascii_lowercase + string.digits


def new_id(prefix: str = "", *, length: int = 12) -> str:
    """`prefix` and random characters of `[a-z0-9]`; 12 of them are 62 bits."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(length))
