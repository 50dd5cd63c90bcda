"""Thousands of updates, several worker processes, and one update that kills whoever takes it."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from common.redis_store import RedisAway
from telegram_service.mailbox import Mailbox
from tests.redis_server import RedisServer
from tests.telegram_service import queue_worker
from tests.telegram_service.test_mailbox import message
from tests.waiting import until

UPDATES, CHATS, WORKERS = 4_000, 200, 3
POISON = 1_501


@contextmanager
def supervised(url: str, count: int) -> Iterator[list[int]]:
    """`count` workers, each started again when it dies, as systemd does; the pids that died."""
    running = [queue_worker.start(url) for _ in range(count)]
    died: list[int] = []
    ending = threading.Event()

    def watch() -> None:
        while not ending.wait(0.02):
            for place, process in enumerate(running):
                if process.poll() is not None:
                    died.append(process.pid)
                    running[place] = queue_worker.start(url)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield died
    finally:
        ending.set()
        watcher.join()
        _end(running)


def _end(running: list[subprocess.Popen[bytes]]) -> None:
    for process in running:
        process.terminate()
    for process in running:
        process.wait(30)


@pytest.fixture
def mailbox(redis_server: RedisServer) -> Mailbox:
    return queue_worker.mailbox_of(redis_server.url)[1]


def test_four_thousand_updates_three_workers_and_one_poison(mailbox: Mailbox, redis_server: RedisServer) -> None:
    def post(numbers: range) -> None:
        for number in numbers:
            text = queue_worker.POISON if number == POISON else f"question {number}"
            mailbox.put(message(number, user=1_000 + number % CHATS, text=text))
            mailbox.put(message(number, user=1_000 + number % CHATS, text=text))  # Telegram sends some twice

    with supervised(redis_server.url, WORKERS) as died:
        post(range(UPDATES))
        until(lambda: sum(mailbox.lengths()[name] for name in ("waiting", "working")) == 0, seconds=120)

    store, _ = queue_worker.mailbox_of(redis_server.url)
    answered: list[int] = []
    for chat in range(CHATS):
        key = f"answers:{1_000 + chat}:0"
        found: Any = store.call(lambda client, key=key: client.lrange(key, 0, -1))  # type: ignore[misc]
        in_chat = [int(number) for number in found]
        assert in_chat == sorted(in_chat), "the order of each chat is kept"
        answered += in_chat
    assert sorted(answered) == list(range(UPDATES)), "nothing is lost, nothing is answered twice"
    assert [letter.update_id for letter in mailbox.dead_letters()] == [POISON]
    assert len(died) == 4, "the poison killed as many workers as it may, and was told of then"
    assert mailbox.figures()["duplicates"] == UPDATES


def test_redis_killed_and_restarted_under_load() -> None:
    server = RedisServer(durable=True)
    server.start()
    try:
        _, mailbox = queue_worker.mailbox_of(server.url)
        with supervised(server.url, 2):
            for number in range(600):
                if number in (150, 400):
                    server.kill()
                    server.start()
                _put_until_taken(mailbox, number)
            until(lambda: _is_empty(mailbox), seconds=120)
        store, _ = queue_worker.mailbox_of(server.url)
        assert store.call(lambda client: client.scard("answered")) == 600
        assert mailbox.dead_letters() == []
    finally:
        server.remove()


def _put_until_taken(mailbox: Mailbox, number: int) -> None:
    """As Telegram does, which gets a 503 meanwhile."""
    while True:
        try:
            mailbox.put(message(number, user=1_000 + number % 50))
            return
        except RedisAway:
            time.sleep(0.2)


def _is_empty(mailbox: Mailbox) -> bool:
    try:
        lengths = mailbox.lengths()
    except RedisAway:
        return False
    return not lengths["waiting"] and not lengths["working"]
