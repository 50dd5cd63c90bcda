"""Servers for all tests of a module, and a host that each test fills anew."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.common.backup.host import Host, new_identity
from tests.postgres import Postgres, programs
from tests.redis_server import RedisServer, program


@pytest.fixture(scope="session")
def servers() -> Iterator[tuple[Postgres, RedisServer]]:
    missing = [name for name in ("age", "rsync", "psql", "redis-cli") if shutil.which(name) is None]
    if (missing or programs() is None or program() is None) and os.environ.get("CI") != "true":
        pytest.skip(f"apt-get install age rsync postgresql redis-server: {', '.join(missing)}")
    # As a replica would, a snapshot waits for others who want one, too: 5 s by default.
    postgres, redis = Postgres(), RedisServer(durable=True, arguments=("--repl-diskless-sync-delay", "0"))
    postgres.start()
    redis.start()
    yield postgres, redis
    redis.remove()
    postgres.stop()
    postgres.remove()


@pytest.fixture(scope="session")
def identity() -> tuple[str, str]:
    return new_identity()


@pytest.fixture
def host(servers: tuple[Postgres, RedisServer], identity: tuple[str, str], tmp_path: Path) -> Iterator[Host]:
    built = Host(tmp_path, *servers, *identity)
    built.fill()
    yield built
    built.redis.start_again()
    built.redis.flush()
    for table in ("message", "newer"):
        built.sql(f"DROP TABLE IF EXISTS {table}")
