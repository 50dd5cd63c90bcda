"""The deferred database: SQLite by default, PostgreSQL by DATABASE_URL; migrations that run once.

Models bind to a `DatabaseProxy` at import and to a real database in `connect_database`; nothing is opened at import.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import peewee
from playhouse.db_url import connect as connect_url

logger = logging.getLogger(__name__)

SQLITE_PRAGMAS = {
    "journal_mode": "wal",  # readers never wait for the writer
    "synchronous": "full",  # with WAL, "normal" loses the last commits in a power cut: what was acknowledged must stay
    "foreign_keys": 1,
    "busy_timeout": 10_000,
}
MADE_WITHIN = 10.0  # seconds, for several processes that meet at a new file


class DatabaseUrlError(ValueError):
    """DATABASE_URL names no database that we can use."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of a schema. `apply` runs once, in a transaction, in the order of the list it stands in."""

    name: str
    apply: Callable[[peewee.Database], None]


class PrivateSqlite(peewee.SqliteDatabase):
    """A file that only its owner reads, whatever the umask is; SQLite gives its log the same mode."""

    def _connect(self) -> Any:
        if self.database != ":memory:":
            # Only a new file: to close one that a connection of this process has open would drop its locks
            # (https://sqlite.org/howtocorrupt.html, 2.2). What else is wrong SQLite says in its own words.
            with suppress(OSError):
                os.close(os.open(self.database, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        # Who makes a new file one with a write-ahead log does not wait for others that do: `busy_timeout` is not asked.
        until = time.monotonic() + MADE_WITHIN
        while True:
            try:
                return super()._connect()  # type: ignore[misc]
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() >= until:
                    raise
                time.sleep(0.02)


def open_database(url: str) -> peewee.Database:
    """Return a database for `url` (sqlite:///PATH, postgresql://...), not connected yet. Raises DatabaseUrlError."""
    scheme = urlsplit(url).scheme
    if scheme == "sqlite":
        path = url.removeprefix("sqlite:///")
        if path == url or not path:
            raise DatabaseUrlError("DATABASE_URL: write sqlite:///PATH")
        if path != ":memory:":
            Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A transaction that reads before it writes would fail at once when another one wrote meanwhile; those that take
        # the lock first wait for each other (https://sqlite.org/isolation.html).
        return PrivateSqlite(path, pragmas=SQLITE_PRAGMAS, lock_type="IMMEDIATE")
    if scheme in ("postgres", "postgresql"):
        database: peewee.Database = connect_url(url, connect_timeout=5)
        return database
    raise DatabaseUrlError(f"DATABASE_URL: {scheme or 'no scheme'} is neither sqlite nor postgresql")


def bind(proxy: peewee.DatabaseProxy, url: str) -> peewee.Database:
    """Open the database of `url` and let the models of `proxy` use it."""
    database = open_database(url)
    proxy.initialize(database)
    return database


@contextmanager
def connection(database: peewee.Database) -> Iterator[None]:
    """Hold a connection for the block; one that is open already in this thread is used and left open."""
    opened = database.connect(reuse_if_open=True)
    try:
        yield
    finally:
        if opened and not database.is_closed():
            database.close()


def migrate(database: peewee.Database, component: str, migrations: Sequence[Migration]) -> list[str]:
    """Apply what `component` has not applied yet; return the names applied. Two processes may call it at once."""
    applied: list[str] = []
    with connection(database):
        with _exclusive(database):  # on PostgreSQL two CREATE TABLE IF NOT EXISTS at once can fail
            database.execute_sql(
                "CREATE TABLE IF NOT EXISTS schema_migration ("
                "component VARCHAR(64) NOT NULL, name VARCHAR(128) NOT NULL, applied_at VARCHAR(40) NOT NULL, "
                "PRIMARY KEY (component, name))"
            )
        for migration in migrations:
            if _apply_once(database, component, migration):
                applied.append(migration.name)
                logger.info("migration applied", extra={"component": component, "migration": migration.name})
    return applied


def _apply_once(database: peewee.Database, component: str, migration: Migration) -> bool:
    mark = "?" if isinstance(database, peewee.SqliteDatabase) else "%s"
    with _exclusive(database):
        found = database.execute_sql(
            f"SELECT 1 FROM schema_migration WHERE component = {mark} AND name = {mark}",  # noqa: S608 - only marks
            (component, migration.name),
        ).fetchone()
        if found:
            return False
        migration.apply(database)
        database.execute_sql(
            f"INSERT INTO schema_migration (component, name, applied_at) VALUES ({mark}, {mark}, {mark})",  # noqa: S608
            (component, migration.name, datetime.now(timezone.utc).isoformat()),
        )
        return True


@contextmanager
def _exclusive(database: peewee.Database) -> Iterator[None]:
    # The lock comes before the look, or two processes would both find the migration missing.
    if isinstance(database, peewee.SqliteDatabase):
        with database.atomic("IMMEDIATE"):
            yield
        return
    with database.atomic():
        database.execute_sql("SELECT pg_advisory_xact_lock(727201)")
        yield
