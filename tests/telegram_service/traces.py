"""What is left of somebody: every cell of a SQLite file and every value in a Redis, decrypted, searched for words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import redis

from common.crypto import Cipher, Undecryptable

TOKEN = "gAAAA"  # how everything that Fernet encrypted begins


class Traces:
    """`secrets` are those of the service, by which it encrypts."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._cipher = Cipher(secrets)

    def in_database(self, file: Path, words: Iterable[str]) -> list[str]:
        """TABLE.COLUMN of each cell that holds one of `words`."""
        return [place for place, text in self._cells(file) if self._holds(text, words)]

    def in_redis(self, url: str, words: Iterable[str]) -> list[str]:
        """Each key whose name or value holds one of `words`."""
        with redis.Redis.from_url(url) as client:
            found = list(_values(client))
        return [key for key, text in found if self._holds(key, words) or self._holds(text, words)]

    def _cells(self, file: Path) -> Iterator[tuple[str, str]]:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            tables = [row["name"] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                for row in database.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 - a name from the database
                    yield from ((f"{table}.{column}", str(row[column])) for column in row.keys())  # noqa: SIM118

    def _holds(self, text: str, words: Iterable[str]) -> bool:
        if text.startswith(TOKEN):
            try:
                text = self._cipher.decrypt(text)
            except Undecryptable:
                raise AssertionError("encrypted with another secret: nobody can say what it is") from None
        return any(word in text for word in words)


def _values(client: redis.Redis) -> Iterator[tuple[str, str]]:
    """Name and content of each key; one that holds several values comes once for each."""
    for key in client.scan_iter():
        for value in _read(client, key):
            yield key.decode(), value.decode("utf-8", "replace")


def _read(client: Any, key: bytes) -> list[bytes]:
    kind = client.type(key)
    if kind == b"string":
        return [client.get(key) or b""]
    if kind == b"hash":
        return [part for pair in client.hgetall(key).items() for part in pair]
    if kind == b"set":
        return list(client.smembers(key))
    if kind == b"zset":
        return list(client.zrange(key, 0, -1))
    return list(client.lrange(key, 0, -1))
