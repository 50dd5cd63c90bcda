"""An answer is watched while it is written, and said whole whatever happens on the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peewee
import pytest

from common.database import connection
from telegram_service.formatting import Part, parts
from telegram_service.replies import Replies
from telegram_service.reply_storage import TABLES
from telegram_service.streaming import GROUP, PRIVATE, LiveReplies
from telegram_service.tables import bind_tables
from telegram_service.telegram_api import Address, Blocked, Button, TelegramApi
from telegram_service.telegram_errors import TelegramAway
from telegram_service.typing_action import Typing
from tests.telegram_server import TelegramServer
from tests.waiting import until

PERSON, CHAT, UPDATE = 42, -100, 1
HERE = Address(PERSON)
WHO = "p" * 32
STOP = [[Button("Arrêter", "stop")]]


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def telegram() -> Iterator[TelegramServer]:
    with TelegramServer() as server:
        server.say(PERSON, "Mon préavis ?")
        server.say(PERSON, "/ask Mon préavis ?", chat=CHAT)
        yield server


@pytest.fixture
def api(telegram: TelegramServer, clock: Clock) -> TelegramApi:
    return TelegramApi(telegram.token, telegram.url, timeout=0.5, clock=clock, sleep=clock.sleep)


@pytest.fixture
def replies(tmp_path: Path, api: TelegramApi) -> Iterator[Replies]:
    database: peewee.Database = bind_tables(f"sqlite:///{tmp_path / 'telegram.db'}", ["s" * 32])
    with connection(database):
        database.create_tables(TABLES)
    yield Replies(database, api)
    database.close()


@pytest.fixture
def live_replies(replies: Replies, api: TelegramApi, clock: Clock) -> LiveReplies:
    return LiveReplies(replies, api, Typing(api.typing), clock=clock)


def shown(telegram: TelegramServer, chat: int = PERSON) -> list[str]:
    return [message.text for message in telegram.messages(chat)]


def test_an_answer_grows_under_a_stop_button_and_ends_without(
    telegram: TelegramServer, live_replies: LiveReplies, clock: Clock
) -> None:
    with live_replies.opened(UPDATE, HERE, WHO, keyboard=STOP) as live:
        assert shown(telegram) == ["…"]
        assert telegram.messages(PERSON)[0].buttons == ["Arrêter"]
        clock.now += PRIVATE
        live.add("Le **préavis** ")
        assert shown(telegram) == ["Le préavis"]
        live.add("dure ")
        live.add("deux mois.")
        assert shown(telegram) == ["Le préavis"], "not before its time"
        clock.now += PRIVATE
        live.tick()
        assert shown(telegram) == ["Le préavis dure deux mois."]
        assert telegram.messages(PERSON)[0].buttons == ["Arrêter"]
        live.finish(parts(live.text), keyboard=[[Button("👍", "v1:up:1")]])
    [message] = telegram.messages(PERSON)
    assert (message.text, message.buttons) == ("Le préavis dure deux mois.", ["👍"])
    assert message.entities == [{"type": "bold", "offset": 3, "length": 7}]


def test_what_is_done_is_told_while_there_is_no_answer(
    telegram: TelegramServer, live_replies: LiveReplies, clock: Clock
) -> None:
    with live_replies.opened(UPDATE, HERE, WHO, placeholder=Part("Je cherche…")) as live:
        assert shown(telegram) == ["Je cherche…"]
        clock.now += PRIVATE
        live.note(Part("Vous êtes 3e dans la file."))
        assert shown(telegram) == ["Vous êtes 3e dans la file."]
        clock.now += PRIVATE
        live.add("Voici.")
        assert shown(telegram) == ["Voici."]


def test_edits_are_far_apart_and_farther_in_groups(
    telegram: TelegramServer, live_replies: LiveReplies, clock: Clock
) -> None:
    for update_id, chat in ((1, PERSON), (2, CHAT)):
        with live_replies.opened(update_id, Address(chat), WHO) as live:
            for _ in range(600):
                clock.now += 0.05
                live.add("mot ")
            live.finish(parts(live.text))
    private, group = (telegram.messages(chat)[0].edits for chat in (PERSON, CHAT))
    assert 30 / PRIVATE - 3 <= private <= 30 / PRIVATE + 1
    assert 30 / GROUP - 2 <= group <= 30 / GROUP + 1


def test_a_flood_slows_it_down_and_the_answer_is_whole(
    telegram: TelegramServer, live_replies: LiveReplies, clock: Clock
) -> None:
    with live_replies.opened(UPDATE, HERE, WHO) as live:
        clock.now += PRIVATE
        telegram.flood_next("editMessageText", 5)
        live.add("un ")
        edits = len(telegram.called("editMessageText"))
        for _ in range(4):
            clock.now += 1.1
            live.add("mot ")
        assert len(telegram.called("editMessageText")) == edits, "Telegram is left alone"
        clock.now += 1
        live.add("deux")
        assert shown(telegram) == ["un mot mot mot mot deux"]
        clock.now += PRIVATE * 1.5
        live.add(" trois")
        assert shown(telegram) == ["un mot mot mot mot deux"], "slower than before"
        live.finish(parts(live.text))
    assert shown(telegram) == ["un mot mot mot mot deux trois"]


@pytest.mark.parametrize("fault", ["drop", "hang", "error"])
def test_edits_that_fail_do_not_matter(
    telegram: TelegramServer, live_replies: LiveReplies, clock: Clock, fault: str
) -> None:
    with live_replies.opened(UPDATE, HERE, WHO) as live:
        clock.now += PRIVATE
        if fault == "drop":
            telegram.drop_next("editMessageText", done=False)
        elif fault == "hang":
            telegram.hang_next("editMessageText", 1, done=False)
        else:
            telegram.fail_next("editMessageText", 400, "Bad Request: quelque chose")
        live.add("Une réponse")
        assert shown(telegram) == ["…"]
        live.add(" entière.")
        live.finish(parts(live.text))
    assert shown(telegram) == ["Une réponse entière."]


def test_a_message_that_the_person_removed_comes_back_at_the_end(
    telegram: TelegramServer, live_replies: LiveReplies, clock: Clock
) -> None:
    with live_replies.opened(UPDATE, HERE, WHO) as live:
        telegram.delete(telegram.messages(PERSON)[0])
        clock.now += PRIVATE
        live.add("Une réponse")
        live.finish(parts(live.text))
    assert shown(telegram) == ["Une réponse"]


def test_who_blocks_the_bot_ends_the_writing(telegram: TelegramServer, live_replies: LiveReplies, clock: Clock) -> None:
    with live_replies.opened(UPDATE, HERE, WHO) as live:
        telegram.block(PERSON)
        clock.now += PRIVATE
        with pytest.raises(Blocked):
            live.add("Une réponse")


def test_a_long_answer_goes_on_in_another_message(
    telegram: TelegramServer, live_replies: LiveReplies, clock: Clock
) -> None:
    paragraph = "Une phrase assez longue de l'article. " * 30 + "\n\n"
    with live_replies.opened(UPDATE, HERE, WHO, keyboard=STOP) as live:
        for _ in range(5):
            clock.now += 10
            live.add(paragraph)
        first, second = telegram.messages(PERSON)
        assert (first.buttons, second.buttons) == ([], ["Arrêter"])
        live.finish(parts(live.text))
    assert shown(telegram) == [part.text for part in parts(paragraph * 5)]


def test_another_attempt_writes_into_the_same_message(
    telegram: TelegramServer, live_replies: LiveReplies, clock: Clock
) -> None:
    with live_replies.opened(UPDATE, HERE, WHO) as live:
        clock.now += PRIVATE
        live.add("Un premier essai, dont le processus est tué")
    with live_replies.opened(UPDATE, HERE, WHO) as live:
        live.add("La réponse")
        live.finish(parts(live.text))
    assert shown(telegram) == ["La réponse"]


def test_who_lost_the_update_to_another_changes_nothing_any_more(
    telegram: TelegramServer, live_replies: LiveReplies, replies: Replies, clock: Clock
) -> None:
    with live_replies.opened(UPDATE, HERE, WHO) as live:
        replies.prepare(UPDATE, WHO, [Part("La réponse d'un autre")])
        replies.deliver(UPDATE, HERE)
        clock.now += PRIVATE
        live.add("Une vieille")
        live.finish(parts(live.text))
    assert shown(telegram) == ["La réponse d'un autre"]


def test_a_sketch_that_comes_after_the_answer_of_another_does_not_stay(
    telegram: TelegramServer, live_replies: LiveReplies, replies: Replies, api: TelegramApi, clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    edit = api.edit

    def late(*arguments: Any, **options: Any) -> None:
        monkeypatch.setattr(api, "edit", edit)
        replies.prepare(UPDATE, WHO, [Part("La réponse d'un autre")])
        replies.deliver(UPDATE, HERE)
        edit(*arguments, **options)

    with live_replies.opened(UPDATE, HERE, WHO, keyboard=STOP) as live:
        clock.now += PRIVATE
        monkeypatch.setattr(api, "edit", late)
        live.add("Une vieille")
        assert shown(telegram) == ["Une vieille"]
        live.add(" réponse")
        live.finish(parts(live.text), keyboard=[[Button("👍", "v1:up:1")]])
    [message] = telegram.messages(PERSON)
    assert (message.text, message.buttons) == ("Une vieille réponse", ["👍"])


def test_typing_is_shown_again_and_again_until_the_end() -> None:
    told: list[Address] = []
    enough = threading.Event()

    def tell(to: Address) -> None:
        told.append(to)
        if len(told) >= 6:
            enough.set()
        raise TelegramAway("away", uncertain=True)

    typing = Typing(tell, every=0.01)
    with typing.shown(HERE), typing.shown(Address(CHAT, topic=7)), typing.shown(HERE):
        assert enough.wait(60)
    assert {*told} == {HERE, Address(CHAT, topic=7)}
    until(lambda: typing._thread is None)
    told.clear()
    with typing.shown(HERE):
        until(lambda: told)


def test_typing_reaches_the_chat(telegram: TelegramServer, live_replies: LiveReplies) -> None:
    with live_replies.opened(UPDATE, HERE, WHO):
        until(lambda: telegram.actions == [(PERSON, "typing")])
