"""`re-encrypt`: what older secrets encrypted is encrypted with the newest one, while the service runs.

Small transactions, each row by itself and only where it still is what was read, so that a writer is neither held up nor
overwritten. Nothing is noted down: whether a text is under the newest secret is asked of the text, so a run that was
killed goes on where it was by beginning again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import peewee

from common.crypto import Cipher, EncryptedTextField, Undecryptable
from common.database import connection

AT_ONCE = 100  # rows


@dataclass(slots=True)
class Tally:
    """Texts: `renewed` were under an older secret and are, or with `dry` would be, under the newest; `current` were
    so before; `unreadable` are under none that we have."""

    renewed: int = 0
    current: int = 0
    unreadable: int = 0


class Renewer:
    """Says what becomes of one text. With `dry` it only counts."""

    def __init__(self, secrets: Sequence[str], *, dry: bool = False) -> None:
        self._newest = Cipher(secrets[:1])
        self._all = Cipher(secrets)
        self.dry = dry

    def renewed(self, token: str, tally: Tally) -> str | None:
        """What should stand in the place of `token`; None where it may stay."""
        try:
            self._newest.decrypt(token)
            tally.current += 1
            return None
        except Undecryptable:
            pass
        try:
            fresh = self._all.renewed(token)
        except Undecryptable:
            tally.unreadable += 1
            return None
        tally.renewed += 1
        return None if self.dry else fresh


def re_encrypt_tables(database: peewee.Database, tables: Sequence[Any], renewer: Renewer) -> dict[str, Tally]:
    """Every encrypted column of `tables` (peewee models); the tallies by table. Raises peewee's errors."""
    tallies: dict[str, Tally] = {}
    with connection(database):
        for table in tables:
            columns = [field for field in table._meta.sorted_fields if isinstance(field, EncryptedTextField)]
            if columns:
                tallies[table._meta.table_name] = _re_encrypt(database, table, columns, renewer)
    return tallies


def _re_encrypt(database: peewee.Database, table: Any, columns: list[Any], renewer: Renewer) -> Tally:
    tally = Tally()
    for rows in _batches(database, table, columns):
        # Decided first, so that the database is held for the writes alone.
        fresh = [
            (column, key, token, renewed)
            for key, *tokens in rows
            for column, token in zip(columns, tokens, strict=True)
            if token is not None and (renewed := renewer.renewed(token, tally)) is not None
        ]
        with database.atomic():
            for column, key, token, renewed in fresh:
                _replace(database, table, column, key, token, renewed)
    return tally


# SQL, since peewee's fields would decrypt and encrypt on the way. All names are those of our own tables.


def _batches(database: peewee.Database, table: Any, columns: list[Any]) -> Iterator[list[tuple[Any, ...]]]:
    key = table._meta.primary_key.column_name
    names = ", ".join(f'"{name}"' for name in (key, *(column.column_name for column in columns)))
    select = f'SELECT {names} FROM "{table._meta.table_name}"'  # noqa: S608
    rest = f' ORDER BY "{key}" LIMIT {AT_ONCE}'
    rows = _sql(database, select + rest).fetchall()
    while rows:
        yield rows
        rows = _sql(database, f'{select} WHERE "{key}" > ?{rest}', rows[-1][0]).fetchall()


def _replace(database: peewee.Database, table: Any, column: Any, key: object, token: str, fresh: str) -> None:
    name, at = column.column_name, table._meta.primary_key.column_name
    update = f'UPDATE "{table._meta.table_name}" SET "{name}" = ? WHERE "{at}" = ? AND "{name}" = ?'  # noqa: S608
    _sql(database, update, fresh, key, token)


def _sql(database: peewee.Database, statement: str, *values: object) -> Any:
    if not isinstance(database, peewee.SqliteDatabase):
        statement = statement.replace("?", "%s")
    return database.execute_sql(statement, values)
