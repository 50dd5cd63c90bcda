"""A Redis for all tests of the service, emptied for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.redis_server import RedisServer


@pytest.fixture(scope="session")
def running_redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def redis_server(running_redis_server: RedisServer) -> RedisServer:
    """Redis, empty."""
    running_redis_server.flush()
    return running_redis_server
