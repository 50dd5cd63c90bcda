"""The queue asks nothing of Redis that 6.0 (Ubuntu 22.04) does not have."""

from __future__ import annotations

import time
from typing import Any

import pytest
import redis

from common.redis_store import RedisStore
from telegram_service.mailbox import PREFIX
from tests.redis_server import RedisServer
from tests.redis_versions import can_tell_ages, newer_ones, watched_commands
from tests.telegram_service.test_mailbox import build, claimed, message

ANNA = 101


@pytest.fixture(autouse=True)
def _knows_its_commands(redis_server: RedisServer) -> None:
    if not can_tell_ages(redis_server.url):
        pytest.skip("a Redis before 7 does not tell; that it runs the other tests is proof")


def test_the_queue_needs_redis_6_0(redis_server: RedisServer) -> None:
    mailbox = build(RedisStore(redis_server.url, prefix=PREFIX))
    dying = build(RedisStore(redis_server.url, prefix=PREFIX), lease=0.001)
    with watched_commands(redis_server.url) as seen:
        for number in range(8):
            mailbox.put(message(number))
        for _ in range(5):
            assert dying.claim("dead")
            time.sleep(0.003)
        claim = claimed(mailbox)
        mailbox.absorb(claim, [number for number, _ in mailbox.following(claim.lane)][:2])
        mailbox.renew(claim)
        mailbox.done(claim)
        claim = claimed(mailbox)
        mailbox.later(claim, 0, failed=True)
        claim = claimed(mailbox)
        mailbox.give_back(claim)
        mailbox.wait()
        claim = claimed(mailbox)
        mailbox.bury(claim, "no luck")
        mailbox.stop(claim.lane, 1, 5)
        mailbox.is_stopped(claim.lane, 1, 1)
        mailbox.lengths()
        mailbox.figures()
        mailbox.revive(mailbox.dead_letters()[0].update_id)
        mailbox.forget(ANNA)
    names = {words[0].lower() for words in seen}
    assert {"evalsha", "zadd", "blpop", "rename", "hincrby"} <= names, "the watch sees scripts too"
    assert newer_ones(redis_server.url, seen) == []


def test_the_watch_knows_what_is_new(redis_server: RedisServer) -> None:
    client: Any = redis.Redis.from_url(redis_server.url)
    with watched_commands(redis_server.url) as seen:
        client.set("a", 1, keepttl=True)
        client.getex("a", ex=5)
        client.zadd("z", {"a": 1}, gt=True)
        client.execute_command("LMOVE", "x", "y", "LEFT", "RIGHT")
    assert newer_ones(redis_server.url, seen) == ["getex", "lmove", "zadd GT"]
