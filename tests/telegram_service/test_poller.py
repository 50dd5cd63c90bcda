"""Polling against the fake Bot API server: nothing is lost, nothing comes twice, whatever is away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from common.crypto import Cipher
from common.redis_store import RedisStore
from telegram_service.intake import Intake
from telegram_service.mailbox import PREFIX, Mailbox
from telegram_service.poller import LONG_PAUSE, PAUSE, Poller
from telegram_service.telegram_api import TelegramApi
from tests.redis_server import RedisServer
from tests.telegram_server import TelegramServer
from tests.waiting import until

ANNA = 101


@pytest.fixture
def telegram() -> Iterator[TelegramServer]:
    with TelegramServer() as server:
        yield server


@pytest.fixture
def mailbox(redis_server: RedisServer) -> Iterator[Mailbox]:
    store = RedisStore(redis_server.url, prefix=PREFIX)
    yield Mailbox(store, Cipher(["s" * 32]), lease=30, dead_after=4, dead_letter_seconds=600)
    store.close()


@pytest.fixture
def poller(telegram: TelegramServer, mailbox: Mailbox) -> Poller:
    return Poller(TelegramApi(telegram.token, telegram.url), Intake(mailbox))


def texts(mailbox: Mailbox) -> list[str]:
    found = []
    while (claim := mailbox.claim("w")) is not None:
        found.append(claim.update["message"]["text"])
        mailbox.done(claim)
    return found


def test_updates_come_in_order_and_are_confirmed(telegram: TelegramServer, poller: Poller, mailbox: Mailbox) -> None:
    telegram.say(ANNA, "un")
    telegram.say(ANNA, "deux")
    assert poller.turn() == 0
    telegram.say(ANNA, "trois")
    assert poller.turn() == 0
    assert telegram.updates.waiting() == 1, "the last one is confirmed by the next call"
    assert texts(mailbox) == ["un", "deux", "trois"]


def test_a_new_poller_takes_nothing_twice(telegram: TelegramServer, poller: Poller, mailbox: Mailbox) -> None:
    telegram.say(ANNA, "un")
    poller.turn()
    again = Poller(TelegramApi(telegram.token, telegram.url), Intake(mailbox))
    assert again.poll() == 1
    assert texts(mailbox) == ["un"]


def test_a_webhook_gives_way_and_what_waits_is_kept(telegram: TelegramServer, poller: Poller, mailbox: Mailbox) -> None:
    telegram.say(ANNA, "un")
    telegram.updates.set_webhook("http://127.0.0.1:9/webhook", "secret", 1, None)
    assert poller.turn() == 0
    assert texts(mailbox) == ["un"]


def test_while_redis_is_away_nothing_is_confirmed(telegram: TelegramServer) -> None:
    server = RedisServer(durable=True)
    server.start()
    try:
        store = RedisStore(server.url, prefix=PREFIX, timeout=0.5)
        mailbox = Mailbox(store, Cipher(["s" * 32]), lease=30, dead_after=4, dead_letter_seconds=600)
        poller = Poller(TelegramApi(telegram.token, telegram.url), Intake(mailbox))
        telegram.say(ANNA, "un")
        server.stop()
        assert poller.turn() == PAUSE
        assert telegram.updates.waiting() == 1
        server.start()
        until(mailbox.is_up)
        assert poller.turn() == 0
        assert texts(mailbox) == ["un"]
    finally:
        server.remove()


@pytest.mark.parametrize(
    ("goes_wrong", "wait"),
    [
        (lambda server: server.fail_next("getUpdates", 500, times=3), PAUSE),
        (lambda server: server.fail_next("getUpdates", 409, "Conflict: terminated by other getUpdates"), LONG_PAUSE),
        (lambda server: server.flood_next("getUpdates", 7), 7),
        (lambda server: server.drop_next("getUpdates", times=3), PAUSE),
        (lambda server: server.fail_next("deleteWebhook", 502, times=3), PAUSE),
    ],
)
def test_what_telegram_refuses_is_asked_for_again_later(
    telegram: TelegramServer,
    poller: Poller,
    mailbox: Mailbox,
    goes_wrong: Callable[[TelegramServer], None],
    wait: float,
) -> None:
    telegram.say(ANNA, "un")
    goes_wrong(telegram)
    assert poller.turn() == wait
    telegram.faults.clear()
    until(lambda: poller.turn() == 0)  # whoever was away is asked again after a moment
    assert texts(mailbox) == ["un"]


def test_it_stops_when_it_is_told(telegram: TelegramServer, poller: Poller, mailbox: Mailbox) -> None:
    stopping, turns = threading.Event(), []
    thread = threading.Thread(target=poller.run, args=(stopping, lambda: turns.append(1)))
    telegram.say(ANNA, "un")
    thread.start()
    until(lambda: mailbox.lengths()["waiting"] == 1)
    stopping.set()
    telegram.say(ANNA, "deux")
    thread.join(30)
    assert not thread.is_alive()
    assert len(turns) >= 1
