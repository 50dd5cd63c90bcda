"""Fixtures that several packages of tests share."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from common.database import SQLITE_PRAGMAS, connection, open_database
from tests import postgres
from tests.fakes import Core, build_core
from tests.log_watch import WATCH


def pytest_configure(config: pytest.Config) -> None:
    """Watch the logs of the whole run. Databases of this process skip the waits for the disk: no power cut comes."""
    config.pluginmanager.register(WATCH, "log-watch")
    SQLITE_PRAGMAS["synchronous"] = "off"


def pytest_collection_finish() -> None:
    """What was collected stays to the end: each model that is unloaded would look through all of it for garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Postgres]:
    """One server for all tests that begin with an empty database, and that do not stop it."""
    with postgres.running() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, once SQLite and once PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data.sqlite3'}"
    server: postgres.Postgres = request.getfixturevalue("postgres_server")
    empty = open_database(server.url)
    with connection(empty):
        empty.execute_sql("DROP SCHEMA public CASCADE")
        empty.execute_sql("CREATE SCHEMA public")
    return server.url


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    """The AI core around a scripted model, without the Code du travail."""
    built = build_core(tmp_path)
    yield built
    built.parts.model.stop()


@pytest.fixture
def app(core: Core) -> Flask:
    """The application of `core`."""
    return core.app
