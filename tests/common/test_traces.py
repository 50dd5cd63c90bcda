"""What was deleted is gone from the disk, too: SQLite's log, PostgreSQL's dead rows, Redis' append-only file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.database import connection, open_database
from common.redis_store import RedisStore
from common.traces import clear_database, clear_redis
from tests.postgres import Postgres, programs
from tests.redis_server import RedisServer, program

NAME = "hildegarde-du-site-web"

needs_postgres = pytest.mark.skipif(
    programs() is None and os.environ.get("CI") != "true", reason="PostgreSQL is not installed"
)
needs_redis = pytest.mark.skipif(
    program() is None and os.environ.get("CI") != "true", reason="redis-server is not installed"
)


def files_with(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and NAME.encode() in path.read_bytes()]


def test_sqlite(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'people.sqlite3'}")
    reader = open_database(f"sqlite:///{tmp_path / 'people.sqlite3'}")
    with connection(reader), connection(database):  # another process has it open, too
        database.execute_sql("CREATE TABLE person (name TEXT)")
        database.execute_sql("INSERT INTO person VALUES (?)", (NAME,))
        database.execute_sql("DELETE FROM person")
        assert files_with(tmp_path)
        clear_database(database)
        assert files_with(tmp_path) == []


@needs_postgres
def test_postgresql() -> None:
    server = Postgres()
    server.start()
    try:
        database = open_database(server.url)
        with connection(database):
            database.execute_sql("CREATE TABLE person (name TEXT)")
            database.execute_sql("INSERT INTO person VALUES (%s)", (NAME,))
            database.execute_sql("DELETE FROM person")
            dead = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'person'"
            size = "SELECT pg_relation_size('person')"
            assert database.execute_sql(size).fetchone()[0] > 0
            clear_database(database)
            assert database.execute_sql(size).fetchone()[0] == 0, "the pages of dead rows are given back"
            assert database.execute_sql(dead).fetchone()[0] == 0
            with database.atomic():
                database.execute_sql("INSERT INTO person VALUES ('next')")  # transactions work as before
        database.close()
    finally:
        server.stop()
        server.remove()


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    server = RedisServer(durable=True)
    server.start()
    yield server
    server.remove()


@needs_redis
def test_redis(redis: RedisServer) -> None:
    store = RedisStore(redis.url, prefix="test")
    store.client.set(NAME, "x")
    store.client.delete(NAME)
    assert files_with(redis.home)
    assert clear_redis(store)
    assert files_with(redis.home) == []
    store.close()


@needs_redis
def test_a_redis_that_keeps_nothing_has_nothing_to_clear() -> None:
    server = RedisServer()
    server.start()
    try:
        store = RedisStore(server.url, prefix="test")
        assert clear_redis(store)
        store.close()
    finally:
        server.remove()
