"""What all tables of the service have in common."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

import peewee

from common.crypto import Cipher
from common.database import bind

database_proxy = peewee.DatabaseProxy()
cipher_proxy = peewee.Proxy()  # a common.crypto.Cipher


def utc_now() -> datetime:
    """Now, in UTC and without a zone, as every timestamp column holds it."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


class Table(peewee.Model):
    """Base of all tables: one proxy, so that one call binds them all."""

    class Meta:
        database = database_proxy
        legacy_table_names = False


def bind_tables(url: str, secret_keys: Sequence[str]) -> peewee.Database:
    """Let the tables use the database of `url`, encrypted with `secret_keys`. Connects to nothing."""
    cipher_proxy.initialize(Cipher(secret_keys))
    return bind(database_proxy, url)
