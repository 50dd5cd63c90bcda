"""Keys of a service's operators: what each opens, and tables from before there were scopes."""

from __future__ import annotations

from collections.abc import Iterator

import peewee
import pytest

from common.database import connection, migrate, open_database
from common.key_book import KeyBook, KeyColumns, scope_migration

OLD_TABLE = """CREATE TABLE api_key (id INTEGER PRIMARY KEY, name VARCHAR(100) NOT NULL, prefix VARCHAR(16) NOT NULL,
  digest VARCHAR(64) NOT NULL, created_at TIMESTAMP NOT NULL, last_used_at TIMESTAMP, revoked_at TIMESTAMP)"""
OLD_KEY = "INSERT INTO api_key (id, name, prefix, digest, created_at) VALUES (7, 'old', '0a', 'x', '2026-01-01')"


class ApiKey(KeyColumns):
    class Meta:
        table_name = "api_key"


@pytest.fixture
def database(database_url: str) -> Iterator[peewee.Database]:
    opened = open_database(database_url)
    ApiKey.bind(opened)
    with connection(opened):
        yield opened


def test_a_key_opens_everything_unless_it_is_for_the_figures(database: peewee.Database) -> None:
    database.create_tables([ApiKey])
    book = KeyBook(ApiKey)
    assert [book.create("operator")[0].scope, book.create("Prometheus", "metrics")[0].scope] == ["admin", "metrics"]
    assert [key.scope for key in book.all()] == ["admin", "metrics"]


def test_keys_of_before_go_on_opening_everything(database: peewee.Database) -> None:
    database.execute_sql(OLD_TABLE)
    database.execute_sql(OLD_KEY)
    assert migrate(database, "x", [scope_migration(ApiKey)]) == ["key_scopes"]
    assert [(key.name, key.scope) for key in KeyBook(ApiKey).all()] == [("old", "admin")]


def test_a_table_that_has_scopes_is_left_alone_and_an_older_version_writes_to_it(database: peewee.Database) -> None:
    database.create_tables([ApiKey])
    migrate(database, "x", [scope_migration(ApiKey)])
    database.execute_sql(OLD_KEY)
    assert [(key.name, key.scope) for key in KeyBook(ApiKey).all()] == [("old", "admin")]


def test_a_name_is_one_line(database: peewee.Database) -> None:
    database.create_tables([ApiKey])
    assert KeyBook(ApiKey).create("Prometheus\n   7  cdt-0a-...  admin")[0].name == "Prometheus 7 cdt-0a-... admin"
