"""Two AI cores on one Redis: limits are exact over both, and Redis may go and come back under load."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.end_to_end.server import Server
from tests.redis_server import RedisServer

CLIENTS, REQUESTS_EACH, LIMIT = 100, 3, 60
WINDOW = 60.0  # seconds


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.remove()


def serve(tmp_path: Path, redis: RedisServer, name: str, **variables: str) -> Server:
    data_dir = tmp_path / name
    data_dir.mkdir()
    database = f"sqlite:///{tmp_path / 'shared.sqlite3'}"
    unlimited = {"RATE_LIMIT_USER_PER_MINUTE": "100000"}
    return Server(data_dir, REDIS_URL=redis.url, DATABASE_URL=database, **{**unlimited, **variables})


def list_models(server: Server, key: str) -> tuple[int, float | None, float]:
    """Status, Retry-After and the moment of the answer."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", "/api/v1/models", headers={"X-API-Key": key})
    response = connection.getresponse()
    response.read()
    wait = response.headers["Retry-After"]
    connection.close()
    return response.status, None if wait is None else float(wait), time.monotonic()


def test_a_hundred_clients_of_two_services_get_no_more_than_the_limit(tmp_path: Path, redis: RedisServer) -> None:
    servers = [serve(tmp_path, redis, name, RATE_LIMIT_PER_MINUTE=str(LIMIT)) for name in ("one", "two")]
    key = servers[0].new_key("chat")
    for server in servers:
        server.start()
    try:
        began = time.monotonic()
        with ThreadPoolExecutor(CLIENTS) as pool:
            answers = list(
                pool.map(lambda number: list_models(servers[number % 2], key), range(CLIENTS * REQUESTS_EACH))
            )
        ended = time.monotonic()
        assert ended - began < WINDOW, "too slow a machine to tell"
        statuses = [status for status, _, _ in answers]
        assert (statuses.count(200), statuses.count(429)) == (LIMIT, CLIENTS * REQUESTS_EACH - LIMIT)
        for status, wait, at in answers:
            if status == 429:
                assert wait is not None
                # The first request leaves the window then; whole seconds are rounded up.
                assert began + WINDOW - 0.1 <= at + wait <= ended + WINDOW + 1.1
    finally:
        for server in servers:
            server.stop()


def test_redis_may_stop_and_start_again_under_load(tmp_path: Path, redis: RedisServer) -> None:
    server = serve(tmp_path, redis, "one")
    key = server.new_key("chat")
    server.start()
    statuses: list[int] = []
    over = threading.Event()

    def keep_asking(number: int) -> None:
        count = 0
        while not over.is_set():
            count += 1
            message = f"Question {number} {count % 5} ?"  # some from the cache, some computed
            statuses.append(server.post("/api/v1/chat", {"message": message, "user_id": str(number)}, key)[0])

    clients = [threading.Thread(target=keep_asking, args=(number,)) for number in range(8)]
    try:
        for client in clients:
            client.start()
        for _ in range(2):
            time.sleep(1.0)
            redis.stop()
            time.sleep(1.5)
            assert server.readiness()["components"]["redis"]["status"] == "degraded"
            redis.start()
        time.sleep(1.5)
        over.set()
        for client in clients:
            client.join(60)
        assert len(statuses) > 50
        assert set(statuses) == {200}
        assert server.readiness()["components"]["redis"]["status"] == "ok"
    finally:
        over.set()
        server.stop()
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    told = [line["message"] for line in lines if "Redis" in line["message"]]
    assert told == ["Redis does not answer", "Redis answers again"] * 2
