"""What deleted rows and keys leave behind on the disk for a while, removed at once after an erasure."""

from __future__ import annotations

import time
from typing import Any

import peewee

from common.database import connection
from common.redis_store import RedisStore

PATIENCE = 60.0  # seconds


def clear_database(database: peewee.Database) -> None:
    """SQLite overwrites what it deletes, but its log keeps it until then; PostgreSQL keeps dead rows until a VACUUM.
    Raises peewee's errors."""
    with connection(database):
        if isinstance(database, peewee.SqliteDatabase):
            database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            return
        raw = database.connection()
        before, raw.autocommit = raw.autocommit, True  # VACUUM runs in no transaction
        try:
            raw.cursor().execute("VACUUM")
        finally:
            raw.autocommit = before


def clear_redis(store: RedisStore) -> bool:
    """The append-only file repeats every command since it was last written anew; False where that takes longer than
    PATIENCE and goes on. Raises RedisAway."""
    if not _info(store)["aof_enabled"]:
        return True
    _wait(store)  # one that runs began before
    store.call(lambda client: client.bgrewriteaof())
    return _wait(store)


def _wait(store: RedisStore) -> bool:
    until = time.monotonic() + PATIENCE
    while True:
        told = _info(store)
        if not told["aof_rewrite_in_progress"] and not told["aof_rewrite_scheduled"]:
            return True
        if time.monotonic() > until:
            return False
        time.sleep(0.05)


def _info(store: RedisStore) -> Any:
    return store.call(lambda client: client.info("persistence"))
