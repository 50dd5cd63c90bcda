"""A Redis for all tests of the service, emptied for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from common import ai_client
from telegram_service import conversation, dispatcher, pace
from telegram_service.commands import personal
from tests.redis_server import RedisServer
from tests.telegram_service.talking import Talking


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


@pytest.fixture
def talk(
    tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Talking]]:
    """Starts the bot, with settings in capitals. It writes as fast as it can and waits for
    little: pace and patience have tests of their own."""
    for name in ("CHAT", "GROUP"):
        monkeypatch.setattr(pace, name, (1_000.0, 1_000.0))
    waits = ((conversation, "AI_WAIT"), (personal, "AGAIN"), (dispatcher, "AWAY_SECONDS"), (ai_client, "AWAY_SECONDS"))
    for module, name in waits:
        monkeypatch.setattr(module, name, 0.2)
    with ExitStack() as stack:

        def start(*, pause: float = 0.0, **variables: str) -> Talking:
            return stack.enter_context(Talking(tmp_path, redis_server, variables, pause=pause))

        yield start


@pytest.fixture
def talking(talk: Callable[..., Talking]) -> Talking:
    """The bot with its defaults."""
    return talk()
