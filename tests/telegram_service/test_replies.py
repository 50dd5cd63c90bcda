"""Replies are said once: killed between any two steps, blocked, flooded, removed; on both databases."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import peewee
import pytest

from common.database import connection
from telegram_service import replies as module
from telegram_service.claim import RetryLater
from telegram_service.formatting import Part
from telegram_service.replies import PLACEHOLDER, Replies
from telegram_service.reply_storage import TABLES, Reply, ReplyPart
from telegram_service.tables import bind_tables, utc_now
from telegram_service.telegram_api import Address, Blocked, Button, Keyboard, TelegramApi
from tests.telegram_server import TelegramServer

PERSON, UPDATE = 42, 1
HERE = Address(PERSON)
WHO = "p" * 32
BOLD = ({"type": "bold", "offset": 0, "length": 4},)
PARTS = [Part("Voici la réponse", BOLD), Part("sa suite"), Part("et sa fin")]
THUMBS = [[Button("👍", "v1:up:1"), Button("👎", "v1:down:1")]]


class Killed(BaseException):
    """The process is gone."""


class Mortal:
    """The client of a process that is killed at its n-th call, before or after it had its effect."""

    def __init__(self, api: TelegramApi, calls: float = float("inf"), *, done: bool = False) -> None:
        self._api = api
        self._left = calls
        self._done = done

    def send(self, to: Address, part: Part, *, keyboard: Keyboard = ()) -> int:
        self._die(before=True)
        message = self._api.send(to, part, keyboard=keyboard)
        self._die(before=False)
        return message

    def edit(self, chat: int, message: int, part: Part, *, keyboard: Keyboard = ()) -> None:
        self._die(before=True)
        self._api.edit(chat, message, part, keyboard=keyboard)
        self._die(before=False)

    def delete(self, chat: int, message: int) -> None:
        self._die(before=True)
        self._api.delete(chat, message)
        self._die(before=False)

    def _die(self, *, before: bool) -> None:
        if before:
            self._left -= 1
        if self._left < 0 and before is not self._done:
            raise Killed


@pytest.fixture
def database(database_url: str) -> Iterator[peewee.Database]:
    opened = bind_tables(database_url, ["s" * 32])
    with connection(opened):
        opened.create_tables(TABLES)
    yield opened
    opened.close()


@pytest.fixture
def telegram() -> Iterator[TelegramServer]:
    with TelegramServer() as server:
        server.say(PERSON, "/start")
        yield server


@pytest.fixture
def api(telegram: TelegramServer) -> TelegramApi:
    return TelegramApi(telegram.token, telegram.url, timeout=0.3, sleep=lambda _: None)


@pytest.fixture
def replies(database: peewee.Database, api: TelegramApi) -> Replies:
    return Replies(database, api)


def shown(telegram: TelegramServer) -> list[str]:
    """What the person reads; a placeholder that stayed is no answer."""
    return [m.text for m in telegram.messages(PERSON) if m.text != PLACEHOLDER.text]


def texts(parts: list[Part]) -> list[str]:
    return [part.text for part in parts]


def test_an_answer_takes_the_place_of_its_placeholder(telegram: TelegramServer, replies: Replies) -> None:
    message = replies.place(UPDATE, HERE, WHO, keyboard=[[Button("Arrêter", "stop")]])
    assert replies.place(UPDATE, HERE, WHO) == message
    assert replies.is_open(UPDATE)
    assert replies.prepare(UPDATE, WHO, PARTS, keyboard=THUMBS)
    assert not replies.is_open(UPDATE)
    replies.deliver(UPDATE, HERE)
    assert shown(telegram) == texts(PARTS)
    first, *_, last = telegram.messages(PERSON)
    assert (first.id, first.entities, first.buttons) == (message, list(BOLD), [])
    assert last.buttons == ["👍", "👎"]


def test_what_was_decided_stays_and_is_said_once(telegram: TelegramServer, replies: Replies) -> None:
    replies.prepare(UPDATE, WHO, PARTS)
    assert not replies.prepare(UPDATE, WHO, [Part("Autre chose")])
    assert replies.resume(UPDATE, HERE)
    assert replies.resume(UPDATE, HERE)
    assert shown(telegram) == texts(PARTS)
    assert not replies.resume(2, HERE), "nothing was decided for another update"
    with pytest.raises(ValueError, match="prepared"):
        replies.deliver(2, HERE)


def test_two_that_say_it_at_once_leave_it_said(
    telegram: TelegramServer, replies: Replies, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = module._find

    def found_before_the_other_said_it(update_id: int, name: str) -> Reply:
        monkeypatch.setattr(module, "_find", find)
        reply: Reply = find(update_id, name)
        replies.deliver(UPDATE, HERE)
        return reply

    replies.prepare(UPDATE, WHO, PARTS, keyboard=THUMBS)
    monkeypatch.setattr(module, "_find", found_before_the_other_said_it)
    replies.deliver(UPDATE, HERE)
    assert shown(telegram) == texts(PARTS)


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("calls", range(7))
def test_killed_between_any_two_steps_it_is_said_once(
    telegram: TelegramServer, database: peewee.Database, api: TelegramApi, calls: int, done: bool
) -> None:
    def work(replies: Replies) -> None:
        if not replies.resume(UPDATE, HERE):
            replies.place(UPDATE, HERE, WHO)
            replies.prepare(UPDATE, WHO, PARTS, keyboard=THUMBS)
            replies.deliver(UPDATE, HERE)

    with suppress(Killed):
        work(Replies(database, Mortal(api, calls, done=done)))
    work(Replies(database, api))
    work(Replies(database, api))
    assert sorted(shown(telegram)) == sorted(texts(PARTS))
    assert len(telegram.messages(PERSON)) <= len(PARTS) + 1, "one placeholder at most stayed"


@pytest.mark.parametrize("fault", ["drop", "hang", "server error", "flood"])
def test_when_telegram_is_in_trouble_it_waits_and_says_it_once(
    telegram: TelegramServer, replies: Replies, fault: str
) -> None:
    replies.prepare(UPDATE, WHO, PARTS)
    misbehave = {
        "drop": lambda: telegram.drop_next("editMessageText", times=3),
        "hang": lambda: telegram.hang_next("editMessageText", 1, times=3),
        "server error": lambda: telegram.fail_next("editMessageText", 502, "Bad Gateway", done=True),
        "flood": lambda: telegram.flood_next("editMessageText", 60),
    }
    misbehave[fault]()
    with pytest.raises(RetryLater) as later:
        replies.deliver(UPDATE, HERE)
    assert later.value.seconds == (60 if fault == "flood" else 2)


def test_it_goes_on_where_it_had_to_wait(telegram: TelegramServer, replies: Replies) -> None:
    replies.prepare(UPDATE, WHO, PARTS)
    telegram.fail_next("editMessageText", 500, done=True)
    with pytest.raises(RetryLater):
        replies.deliver(UPDATE, HERE)
    replies.deliver(UPDATE, HERE)
    assert shown(telegram) == texts(PARTS)
    assert [message.edits for message in telegram.messages(PERSON)] == [1, 1, 1]


def test_who_blocked_the_bot_gets_nothing_more(telegram: TelegramServer, replies: Replies) -> None:
    replies.place(UPDATE, HERE, WHO)
    replies.prepare(UPDATE, WHO, PARTS)
    telegram.block(PERSON)
    with pytest.raises(Blocked):
        replies.deliver(UPDATE, HERE)
    telegram.block(PERSON, blocked=False)
    replies.deliver(UPDATE, HERE)
    assert shown(telegram) == []


def test_a_placeholder_that_was_removed_is_replaced(telegram: TelegramServer, replies: Replies) -> None:
    replies.place(UPDATE, HERE, WHO)
    telegram.delete(telegram.messages(PERSON)[0])
    replies.prepare(UPDATE, WHO, PARTS)
    replies.deliver(UPDATE, HERE)
    assert sorted(shown(telegram)) == sorted(texts(PARTS))


def test_placeholders_that_the_answer_does_not_need_go(telegram: TelegramServer, replies: Replies) -> None:
    for position in range(3):
        replies.place(UPDATE, HERE, WHO, Part(f"Début {position}"), position=position)
    replies.prepare(UPDATE, WHO, PARTS[:1])
    replies.deliver(UPDATE, HERE)
    assert [message.text for message in telegram.messages(PERSON)] == texts(PARTS[:1])


def test_two_who_work_on_the_same_update_leave_one_message(
    telegram: TelegramServer, database: peewee.Database, api: TelegramApi
) -> None:
    class Overtaken(Mortal):
        def send(self, to: Address, part: Part, *, keyboard: Keyboard = ()) -> int:
            Replies(database, api).place(UPDATE, HERE, WHO)
            return super().send(to, part, keyboard=keyboard)

    message = Replies(database, Overtaken(api)).place(UPDATE, HERE, WHO)
    assert [shown.id for shown in telegram.messages(PERSON)] == [message]


def test_a_short_message_goes_out_directly(telegram: TelegramServer, replies: Replies) -> None:
    for _ in range(2):
        replies.tell(UPDATE, HERE, WHO, [Part("Bienvenue")], keyboard=THUMBS)
    replies.tell(UPDATE, HERE, WHO, [Part("Modèle par défaut")], name="notice")
    assert shown(telegram) == ["Bienvenue", "Modèle par défaut"]
    assert telegram.messages(PERSON)[0].edits == 0
    assert telegram.called("editMessageText") == []


@pytest.mark.parametrize(("repeat", "times"), [(True, 2), (False, 1)])
def test_where_nobody_knows_it_is_said_again_only_if_that_changes_nothing(
    telegram: TelegramServer, replies: Replies, repeat: bool, times: int
) -> None:
    telegram.drop_next("sendMessage")
    with pytest.raises(RetryLater):
        replies.tell(UPDATE, HERE, WHO, [Part("Bienvenue")], repeat=repeat)
    replies.tell(UPDATE, HERE, WHO, [Part("Bienvenue")], repeat=repeat)
    assert shown(telegram) == ["Bienvenue"] * times


def test_what_surely_was_not_said_is_said_again(telegram: TelegramServer, replies: Replies) -> None:
    telegram.flood_next("sendMessage", 60)
    with pytest.raises(RetryLater):
        replies.tell(UPDATE, HERE, WHO, [Part("Bienvenue")], repeat=False)
    other = TelegramApi(telegram.token, telegram.url)
    replies = Replies(replies._database, other)
    replies.tell(UPDATE, HERE, WHO, [Part("Bienvenue")], repeat=False)
    assert shown(telegram) == ["Bienvenue"]


def test_once_is_once(replies: Replies) -> None:
    assert replies.once(UPDATE, WHO, "export")
    assert not replies.once(UPDATE, WHO, "export")
    assert replies.once(2, WHO, "export")


def test_the_text_is_encrypted_and_gone_once_it_was_said(
    telegram: TelegramServer, database: peewee.Database, replies: Replies, tmp_path: Path
) -> None:
    replies.prepare(UPDATE, WHO, PARTS)
    if isinstance(database, peewee.SqliteDatabase):
        database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        raw = sqlite3.connect(str(database.database)).execute("SELECT content FROM reply_part").fetchall()
        assert len(raw) == 3
        assert all(b"suite" not in str(row).encode() for row in raw)
    with connection(database):
        assert ReplyPart.select().where(ReplyPart.content.is_null()).count() == 0
    replies.deliver(UPDATE, HERE)
    with connection(database):
        assert ReplyPart.select().where(ReplyPart.content.is_null(False)).count() == 0


def test_people_and_old_replies_are_forgotten(database: peewee.Database, replies: Replies) -> None:
    replies.prepare(UPDATE, WHO, PARTS)
    replies.prepare(2, "q" * 32, PARTS)
    assert replies.forget(WHO) == 1
    assert replies.forget(WHO) == 0
    assert replies.purge(utc_now() - timedelta(days=2)) == 0
    assert replies.purge(utc_now() + timedelta(days=2)) == 1
    with connection(database):
        assert Reply.select().count() == ReplyPart.select().count() == 0
