"""Redis as it is: stopped, killed, paused, full; and what the store makes of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import redis

from common.redis_store import AWAY_SECONDS, RedisAway, RedisStore
from tests.redis_server import RedisServer


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisStore]:
    store = RedisStore(server.url, prefix="test", timeout=0.3)
    yield store
    store.close()


def test_a_call_answers_and_keys_carry_the_prefix(store: RedisStore) -> None:
    key = store.key("limit", 7, "été")
    assert key == "test:limit:7:été"
    store.call(lambda client: client.set(key, "a"))
    assert store.call(lambda client: client.get(key)) == b"a"


def test_a_script_runs_also_after_the_server_forgot_it(store: RedisStore, server: RedisServer) -> None:
    add = store.script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    assert add([store.key("sum")], [2]) == 2
    server.restart()  # which cuts the connection, too
    assert add([store.key("sum")], [3]) == 3


def test_an_error_in_a_command_is_the_callers(store: RedisStore) -> None:
    store.call(lambda client: client.set(store.key("text"), "a"))
    with pytest.raises(redis.ResponseError):
        store.call(lambda client: client.incr(store.key("text")))


def test_while_it_is_away_calls_fail_at_once_and_are_tried_again_later(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    now = 100.0
    store = RedisStore(server.url, prefix="test", timeout=0.3, clock=lambda: now)
    server.stop()
    calls = 0

    def ping(client: redis.Redis) -> object:
        nonlocal calls
        calls += 1
        return client.ping()

    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            with pytest.raises(RedisAway):
                store.call(ping)
        assert calls == 1
        server.start()
        with pytest.raises(RedisAway):
            store.call(ping)
        now += AWAY_SECONDS
        assert store.call(ping)
    assert [record.getMessage() for record in caplog.records] == ["Redis does not answer", "Redis answers again"]
    assert str(server.port) not in caplog.text
    store.close()


def test_a_server_that_hangs_is_away_after_the_timeout(server: RedisServer, store: RedisStore) -> None:
    assert store.is_up()
    server.pause()
    with pytest.raises(RedisAway) as away:
        store.call(lambda client: client.ping())
    assert away.value.reason == "TimeoutError"
    assert not store.is_up()
    server.resume()
    assert store.is_up()


def test_a_full_server_is_away_and_an_unknown_one_too(server: RedisServer, store: RedisStore) -> None:
    store.call(lambda client: client.config_set("maxmemory", "1"))
    with pytest.raises(RedisAway):
        store.call(lambda client: client.set(store.key("more"), "a" * 100))
    assert store.is_up()
    store.call(lambda client: client.config_set("maxmemory", "0"))
    nobody = RedisStore("redis://127.0.0.1:1/0", prefix="test", timeout=0.2)
    assert not nobody.is_up()
