"""Fake servers and engines on them, closed after each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ai_core.engine.backends.remote import RemoteEngine, RemoteServers
from ai_core.engine.backends.remote.breaker import Pace
from tests.ai_core.engine.backends.remote.fake_server import FakeServer

PACE = Pace(interval=0.1, timeout=2.0, first_pause=0.02, longest_pause=0.1)


@pytest.fixture
def serve() -> Iterator[Callable[..., FakeServer]]:
    """Starts a FakeServer."""
    opened: list[FakeServer] = []

    def start(*args: object, **options: object) -> FakeServer:
        opened.append(FakeServer(*args, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield start
    for fake in opened:
        fake.close()


@pytest.fixture
def reach() -> Iterator[Callable[..., RemoteServers]]:
    """RemoteServers for some FakeServers."""
    reached: list[RemoteServers] = []

    def connect(*fakes: FakeServer, **options: object) -> RemoteServers:
        reached.append(RemoteServers([fake.url for fake in fakes], pace=PACE, **options))  # type: ignore[arg-type]
        return reached[-1]

    yield connect
    for servers in reached:
        servers.close()


@pytest.fixture
def run(reach: Callable[..., RemoteServers]) -> Iterator[Callable[..., RemoteEngine]]:
    """A started RemoteEngine on some FakeServers."""
    started: list[RemoteEngine] = []

    def start(*fakes: FakeServer, max_waiting: int = 64, **options: object) -> RemoteEngine:
        started.append(RemoteEngine(reach(*fakes, **options), max_waiting=max_waiting))
        started[-1].start()
        return started[-1]

    yield start
    for engine in started:
        engine.stop()
