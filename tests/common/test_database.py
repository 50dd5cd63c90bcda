"""Migrations run once, even when two processes start together, and a failed one leaves nothing behind."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import peewee
import pytest

from common.database import DatabaseUrlError, Migration, connection, migrate, open_database


def test_a_migration_runs_once(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'a.sqlite3'}")
    runs: list[str] = []
    steps = [Migration("one", lambda _: runs.append("one")), Migration("two", lambda _: runs.append("two"))]
    assert migrate(database, "x", steps) == ["one", "two"]
    assert migrate(database, "x", steps) == []
    assert runs == ["one", "two"]


def test_processes_that_start_together_run_it_once_between_them(tmp_path: Path) -> None:
    runs: list[int] = []

    def start() -> None:
        database = open_database(f"sqlite:///{tmp_path / 'a.sqlite3'}")
        migrate(database, "x", [Migration("one", lambda _: runs.append(1))])

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert runs == [1]


def test_a_failed_migration_is_undone_and_tried_again(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'a.sqlite3'}")

    def fail(database: peewee.Database) -> None:
        database.execute_sql("CREATE TABLE half (id INTEGER)")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        migrate(database, "x", [Migration("one", fail)])
    with connection(database):
        assert "half" not in database.get_tables()
    assert migrate(database, "x", [Migration("one", lambda _: None)]) == ["one"]


def test_transactions_that_read_before_they_write_wait_for_each_other(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'a.sqlite3'}")
    with connection(database):
        database.execute_sql("CREATE TABLE sums (value INTEGER)")
        database.execute_sql("INSERT INTO sums VALUES (0)")
    together = threading.Barrier(2)

    def add() -> None:
        together.wait(10)
        for _ in range(25):
            with connection(database), database.atomic():
                (value,) = database.execute_sql("SELECT value FROM sums").fetchone()
                database.execute_sql("UPDATE sums SET value = ?", (value + 1,))

    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with connection(database):
        assert database.execute_sql("SELECT value FROM sums").fetchone() == (50,)


@pytest.mark.parametrize("url", ["", "sqlite:", "sqlite:///", "mysql://h/d", "/srv/x.db"])
def test_an_address_that_we_cannot_use_is_refused_by_the_variable(url: str) -> None:
    with pytest.raises(DatabaseUrlError, match="^DATABASE_URL: "):
        open_database(url)


def test_a_new_file_that_another_process_is_just_making_is_waited_for(tmp_path: Path) -> None:
    """Its write-ahead log can only be switched on alone, and SQLite itself does not wait for that."""
    path = tmp_path / "new.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("CREATE TABLE t (a int)")
        other.execute("BEGIN IMMEDIATE")
        leaving = threading.Timer(0.3, other.execute, ("COMMIT",))
        leaving.start()
        database = open_database(f"sqlite:///{path}")
        with connection(database):
            assert database.execute_sql("PRAGMA journal_mode").fetchone() == ("wal",)
        leaving.join()
