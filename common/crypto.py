"""Personal data at rest: texts encrypted in the database, people known by a keyed hash only.

SECRET_KEY holds one or more secrets, newest first. The first one writes, all of them read: to rotate, put a new one in
front, run `re-encrypt` (common/re_encryption.py), then let the old one go.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import peewee
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SHORTEST_SECRET = 32  # characters


class Undecryptable(Exception):
    """A stored text was written with a secret that we no longer have, or was changed since."""


class Cipher:
    """Encrypts texts with the first of `keys`; what any of them wrote can be read (Fernet: AES-128-CBC with HMAC)."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(base64.urlsafe_b64encode(_derived(key, b"encryption"))) for key in keys])

    def encrypt(self, text: str) -> str:
        """The token that stands for `text`; another one each time. Lone surrogates come back as they were."""
        return self._fernet.encrypt(text.encode("utf-8", "surrogatepass")).decode("ascii")

    def decrypt(self, token: str) -> str:
        """The text of `token`. Raises Undecryptable."""
        try:
            return self._fernet.decrypt(token.encode("ascii")).decode("utf-8", "surrogatepass")
        except (InvalidToken, UnicodeEncodeError):
            raise Undecryptable("This text was encrypted with another secret.") from None

    def renewed(self, token: str) -> str:
        """The same text, encrypted with the first key. Raises Undecryptable."""
        return self.encrypt(self.decrypt(token))


class EncryptedTextField(peewee.TextField):
    """A text that only the service can read. `cipher` is a peewee.Proxy that is initialised with a Cipher at start.

    The database sees another token each time: such a column cannot be searched, sorted or unique.
    """

    def __init__(self, cipher: Any, **options: Any) -> None:
        super().__init__(**options)
        self._cipher = cipher

    def db_value(self, value: str | None) -> str | None:
        """Called by peewee on the way into the database."""
        return None if value is None else self._cipher.encrypt(value)

    def python_value(self, value: str | None) -> str | None:
        """Called by peewee on the way out. Raises Undecryptable."""
        return None if value is None else self._cipher.decrypt(value)


def person_hash(secret: str, channel: str, user_id: str) -> str:
    """What stands for a person wherever we keep something of them: 32 hexadecimal digits of HMAC-SHA256."""
    return hash_with(people_key(secret), channel, user_id)


def people_key(secret: str) -> bytes:
    """The part of a secret that hashes people, and can do nothing else."""
    return _derived(secret, b"people")


def hash_with(key: bytes, channel: str, user_id: str) -> str:
    """The person_hash of the secret that `key` is the people_key of."""
    person = json.dumps([channel, user_id]).encode()  # so that ("a", "bc") and ("ab", "c") are two people
    return hmac.new(key, person, hashlib.sha256).hexdigest()[:32]


def secret_keys(configured: Sequence[str], file: Path) -> tuple[str, ...]:
    """The secrets that were configured; where there are none, one in `file`, made (0600) by whoever comes first."""
    if configured:
        return tuple(configured)
    if not file.exists():
        _make_secret(file)
    return (file.read_text(encoding="ascii").strip(),)


def _make_secret(file: Path) -> None:
    # Written whole under another name, then linked: whoever sees the file sees all of it, and the first one wins.
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(6)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(secrets.token_urlsafe(32) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(draft, file)
        except FileExistsError:
            return  # another process was first
    finally:
        draft.unlink(missing_ok=True)


def _derived(secret: str, purpose: bytes) -> bytes:
    """32 bytes of its own for each purpose (RFC 5869), so that no use of a secret tells anything about another."""
    return HKDF(SHA256(), 32, salt=None, info=b"code-du-travail " + purpose).derive(secret.encode())
