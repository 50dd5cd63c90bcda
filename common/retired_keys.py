"""Hashing keys of secrets that are gone.

What stands for a person cannot be told from what stands for another, so rows that hold nothing but such a hash stay
under the old secret when it is rotated. Kept is the part of it that hashes (common.crypto.people_key), encrypted with
the newest secret, so that people are still found in those rows, and erased, when the old secret itself is gone.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Sequence
from typing import Any

import peewee

from common.crypto import Cipher, Undecryptable, hash_with, people_key
from common.database import Migration, connection

_TABLE = """CREATE TABLE IF NOT EXISTS retired_key (
  fingerprint VARCHAR(16) PRIMARY KEY, wrapped TEXT NOT NULL, retired_at DOUBLE PRECISION NOT NULL)"""

MIGRATION = Migration("retired_keys", lambda database: database.execute_sql(_TABLE))
"""For the list of each service."""


class RetiredKeys:
    """Those of one service's database, read once: they come with a rotation, and matter from the next start on.

    Methods raise peewee's errors where the database is away; nothing connects before the first call.
    """

    def __init__(self, database: peewee.Database, secrets: Sequence[str]) -> None:
        self._database = database
        self._cipher = Cipher(secrets)
        self._in_use = {_fingerprint(people_key(secret)) for secret in secrets}
        self._lock = threading.Lock()
        self._keys: tuple[bytes, ...] | None = None

    def hashes_of(self, channel: str, user_id: str) -> list[str]:
        """What stood for a person under each of them."""
        return [hash_with(key, channel, user_id) for key in self._known()]

    def missing(self, secrets: Sequence[str]) -> int:
        """How many of `secrets`, which will go, are not kept yet."""
        kept = {fingerprint for fingerprint, _ in self._rows()}
        return sum(_fingerprint(people_key(secret)) not in kept for secret in secrets)

    def retire(self, secrets: Sequence[str]) -> int:
        """Keep the hashing keys of `secrets`, which will go, and encrypt all of them anew; returns how many are new."""
        new = self.missing(secrets)
        with connection(self._database), self._database.atomic():
            for key in map(people_key, secrets):
                self._sql(
                    "INSERT INTO retired_key (fingerprint, wrapped, retired_at) VALUES (?, ?, ?) "
                    "ON CONFLICT (fingerprint) DO NOTHING",
                    *(_fingerprint(key), self._cipher.encrypt(key.hex()), time.time()),
                )
            for fingerprint, wrapped in self._rows():
                renewed = self._cipher.renewed(wrapped)
                self._sql("UPDATE retired_key SET wrapped = ? WHERE fingerprint = ?", renewed, fingerprint)
        return new

    def forget(self, older_than_days: int) -> int:
        """Remove what was retired so long ago that no row under it is left; returns how many."""
        with connection(self._database):
            before = time.time() - older_than_days * 86_400
            return int(self._sql("DELETE FROM retired_key WHERE retired_at < ?", before).rowcount)

    def _known(self) -> tuple[bytes, ...]:
        with self._lock:
            if self._keys is None:
                found = [wrapped for fingerprint, wrapped in self._rows() if fingerprint not in self._in_use]
                self._keys = tuple(filter(None, map(self._unwrapped, found)))
            return self._keys

    def _unwrapped(self, wrapped: str) -> bytes | None:
        try:
            return bytes.fromhex(self._cipher.decrypt(wrapped))
        except Undecryptable:  # the secret that wrapped it went without `re-encrypt`: whom it hashed is not found
            return None

    def _rows(self) -> list[tuple[str, str]]:
        with connection(self._database):
            return list(self._sql("SELECT fingerprint, wrapped FROM retired_key").fetchall())

    def _sql(self, statement: str, *values: object) -> Any:
        if not isinstance(self._database, peewee.SqliteDatabase):
            statement = statement.replace("?", "%s")
        return self._database.execute_sql(statement, values)


def _fingerprint(key: bytes) -> str:
    return hashlib.sha256(b"fingerprint " + key).hexdigest()[:16]
