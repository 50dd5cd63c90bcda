"""API keys in a service's table: create, list, revoke, verify. A key's text is returned once and never stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import peewee

from common.auth import key_name, make_key, prefix_of, proves
from common.database import Migration

SCOPES = ("admin", "metrics")  # everything; the figures alone
TOUCH_EVERY = timedelta(minutes=1)


class KeyColumns(peewee.Model):
    """The columns that the table needs: `prefix` finds a key, `digest` (SHA-256, hexadecimal) proves it. Times are UTC
    without a zone."""

    id = peewee.AutoField()
    name = peewee.CharField(max_length=100)
    prefix = peewee.CharField(max_length=16, unique=True)
    digest = peewee.CharField(max_length=64)
    created_at = peewee.DateTimeField()
    last_used_at = peewee.DateTimeField(null=True)
    revoked_at = peewee.DateTimeField(null=True)
    # The database's own default: an older version, after a rollback, still makes keys.
    scope = peewee.CharField(max_length=20, default="admin", constraints=[peewee.SQL("DEFAULT 'admin'")])


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is known of a key, its text excepted. Times are UTC without a zone."""

    id: int
    name: str
    prefix: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    scope: str


def scope_migration(table: type[KeyColumns]) -> Migration:
    """For tables of keys from before there were scopes: those keys go on opening everything."""

    def add(database: peewee.Database) -> None:
        name = table._meta.table_name
        if "scope" not in {column.name for column in database.get_columns(name)}:
            database.execute_sql(f"ALTER TABLE {name} ADD COLUMN scope VARCHAR(20) NOT NULL DEFAULT 'admin'")

    return Migration("key_scopes", add)


class KeyBook:
    """The keys in `table`, which has KeyColumns."""

    def __init__(self, table: type[KeyColumns]) -> None:
        self._table: Any = table

    def create(self, name: str, scope: str = "admin") -> tuple[KeyRecord, str]:
        """Make a key and return its record and its text."""
        made = make_key()
        row = self._table.create(
            name=key_name(name), prefix=made.prefix, digest=made.digest, created_at=_now(), scope=scope
        )
        return _record(row), made.text

    def all(self) -> list[KeyRecord]:
        """Every key, revoked ones included."""
        return [_record(row) for row in self._table.select().order_by(self._table.id)]

    def revoke(self, key_id: int) -> bool:
        """Revoke a key; False when there is no such live key."""
        live = (self._table.id == key_id) & self._table.revoked_at.is_null()
        return bool(self._table.update(revoked_at=_now()).where(live).execute())

    def verify(self, text: str | None) -> KeyRecord | None:
        """The record of a live key, its use noted; else None."""
        prefix = prefix_of(text) if text else None
        row = self._table.get_or_none(self._table.prefix == prefix) if prefix else None
        if text is None or row is None or row.revoked_at is not None or not proves(text, row.digest):
            return None
        now = _now()
        if row.last_used_at is None or now - row.last_used_at >= TOUCH_EVERY:
            self._table.update(last_used_at=now).where(self._table.id == row.id).execute()
        return _record(row)


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(tzinfo=None)


def _record(row: Any) -> KeyRecord:
    return KeyRecord(row.id, row.name, row.prefix, row.created_at, row.last_used_at, row.revoked_at, row.scope)
