"""A database with our tables, once SQLite and once PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import peewee
import pytest

from ai_core.storage import database_proxy, open_storage
from common.database import connection, open_database
from tests.postgres import Postgres, programs


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """One server for all tests that begin with an empty database."""
    server = Postgres()
    server.start()
    yield server
    server.stop()
    server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data.sqlite3'}"
    if programs() is None and os.environ.get("CI") != "true":
        pytest.skip("PostgreSQL is not installed: tests/system_packages.sh")
    server: Postgres = request.getfixturevalue("postgres_server")
    empty = open_database(server.url)
    with connection(empty):
        empty.execute_sql("DROP SCHEMA public CASCADE")
        empty.execute_sql("CREATE SCHEMA public")
    return server.url


@pytest.fixture
def database(database_url: str) -> Iterator[peewee.Database]:
    """Our tables in it, with a connection for this thread."""
    before = database_proxy.obj
    opened = open_storage(database_url)
    with connection(opened):
        yield opened
    database_proxy.initialize(before)
