"""Secrets that must be read back, encrypted at rest: a copy of the database alone does not give them away."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tuneward.accounts.problems import AccountError
from tuneward.errors import ConfigError

VARIABLE = "TUNEWARD_SECRET_KEY"
LEAST_CHARACTERS = 32
NONCE_BYTES = 12


class Vault:
    """Encrypts with AES-256-GCM.

    Args:
        passphrase: a long random text; the key is its SHA-256.
    """

    def __init__(self, passphrase: str):
        self._cipher = AESGCM(hashlib.sha256(passphrase.encode()).digest())

    def seal(self, secret: str, owner: str) -> bytes:
        """Encrypt; only the same owner's name opens it again, so that two rows cannot be exchanged."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), owner.encode())

    def open(self, sealed: bytes, owner: str) -> str:
        """Decrypt. Raises AccountError when it was sealed with another key or for another owner."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], owner.encode()).decode()
        except (InvalidTag, ValueError):
            raise AccountError(
                f"The secret of {owner} cannot be decrypted: secret.key of the server's home ({VARIABLE}) is not the "
                "one it was made with. Bring that back, or revoke the key and create another."
            ) from None


def open_vault(home: Path) -> Vault:
    """The vault of a server: its key is `TUNEWARD_SECRET_KEY`, else `HOME/secret.key`, which is made once.

    Raises:
        ConfigError: the key is too short, or others than its owner may read the file.
    """
    given = os.environ.get(VARIABLE)
    where = VARIABLE if given else str(home / "secret.key")
    passphrase = given or _read_or_make(home / "secret.key")
    if len(passphrase) < LEAST_CHARACTERS:
        raise ConfigError(
            f"{where}: has {len(passphrase)} characters; at least {LEAST_CHARACTERS} random ones are needed."
        )
    return Vault(passphrase)


def _read_or_make(path: Path) -> str:
    if not path.exists():
        _make(path)
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigError(f"{path}: others may read it; run `chmod 600 {path}`.")
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}).") from None


def _make(path: Path) -> None:
    """Whole or not at all; of two processes that start together, one's key stays."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(made)
    finally:
        made.unlink(missing_ok=True)
