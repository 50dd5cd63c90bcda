"""The outbound client against the strict server: what it sends is fine, what goes wrong has a name, nothing leaks."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from telegram_service.formatting import Part
from telegram_service.pace import Pace
from telegram_service.telegram_api import (
    Address,
    Blocked,
    Button,
    Flooded,
    MessageGone,
    TelegramApi,
    TelegramAway,
    TelegramRefused,
)
from tests.telegram_server import TelegramServer

PERSON, GROUP = 42, -100
HERE = Address(PERSON)
HELLO = Part("Bonjour à vous")


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def telegram() -> Iterator[TelegramServer]:
    with TelegramServer() as server:
        server.say(PERSON, "/start")
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def api(telegram: TelegramServer, clock: Clock) -> Iterator[TelegramApi]:
    bot = TelegramApi(telegram.token, telegram.url, timeout=0.5, clock=clock, sleep=clock.sleep)
    yield bot
    bot.close()


def test_a_message_is_written_changed_and_removed(telegram: TelegramServer, api: TelegramApi) -> None:
    part = Part("Voir L. 1234-1", ({"type": "text_link", "offset": 5, "length": 9, "url": "https://legifrance.fr"},))
    number = api.send(HERE, part, keyboard=[[Button("Arrêter", "stop"), Button("Site", url="https://example.org")]])
    [shown] = telegram.messages(PERSON)
    assert (shown.id, shown.text, shown.links) == (number, "Voir L. 1234-1", ["https://legifrance.fr"])
    assert shown.buttons == ["Arrêter", "Site"]
    api.edit(PERSON, number, HELLO)
    api.edit(PERSON, number, HELLO)  # Telegram says that nothing changed: fine
    [shown] = telegram.messages(PERSON)
    assert (shown.text, shown.buttons, shown.edits) == ("Bonjour à vous", [], 1)
    api.set_keyboard(PERSON, number, [[Button("👍", "v1:up")]])
    api.set_keyboard(PERSON, number, [[Button("👍", "v1:up")]])
    assert telegram.messages(PERSON)[0].buttons == ["👍"]
    api.delete(PERSON, number)
    api.delete(PERSON, number)
    assert telegram.messages(PERSON) == []


def test_replies_and_topics_are_kept(telegram: TelegramServer, api: TelegramApi) -> None:
    question = telegram.say(PERSON, "/ask Bonjour", chat=GROUP, topic=7)
    api.send(Address(GROUP, topic=7, reply_to=question.id), HELLO)
    api.send(Address(GROUP, topic=7, reply_to=999), HELLO)
    assert [(m.topic, m.reply_to) for m in telegram.messages(GROUP)] == [(7, question.id), (7, None)]


def test_text_goes_out_plain_where_entities_are_refused(telegram: TelegramServer, api: TelegramApi) -> None:
    crossing = [{"type": "bold", "offset": 0, "length": 4}, {"type": "italic", "offset": 2, "length": 5}]
    api.send(HERE, Part("Bonjour", tuple(crossing)))
    [shown] = telegram.messages(PERSON)
    assert (shown.text, shown.entities) == ("Bonjour", [])


def test_documents_typing_and_queries(telegram: TelegramServer, api: TelegramApi) -> None:
    api.send_document(HERE, "données.json", b'{"a": 1}', "Vos données")
    assert telegram.messages(PERSON)[0].file == ("données.json", b'{"a": 1}')
    api.typing(HERE)
    assert telegram.actions == [(PERSON, "typing")]
    api.answer_query("123", "trop tard")  # the query is unknown, thus too old: fine
    assert telegram.answers == []


def test_files_are_downloaded_up_to_a_size(telegram: TelegramServer, api: TelegramApi) -> None:
    document = telegram.upload(PERSON, b"%PDF" * 100, "contrat.pdf").attached["document"]
    assert api.download(document["file_id"]) == b"%PDF" * 100
    with pytest.raises(ValueError, match="larger"):
        api.download(document["file_id"], most_bytes=399)
    huge = telegram.upload(PERSON, b"x" * (20 * 1024 * 1024 + 1), "film.bin").attached["document"]
    with pytest.raises(ValueError, match="larger"):
        api.download(huge["file_id"])


def test_the_bot_says_who_it_is_and_sets_its_menus(telegram: TelegramServer, api: TelegramApi) -> None:
    assert api.me()["username"] == "code_du_travail_bot"
    api.set_commands({"aide": "Ce que je sais faire"})
    api.set_commands({"help": "What I can do"}, language="en", scope="all_private_chats")
    assert telegram.methods.commands["default", ""] == [{"command": "aide", "description": "Ce que je sais faire"}]
    assert ("all_private_chats", "en") in telegram.methods.commands
    api.set_descriptions("Longue", "Courte", language="fr")
    assert telegram.methods.descriptions == {("description", "fr"): "Longue", ("short_description", "fr"): "Courte"}


def test_updates_are_polled_until_a_webhook_is_set(telegram: TelegramServer, api: TelegramApi) -> None:
    [update] = api.updates(0, wait=1)
    assert update["message"]["text"] == "/start"
    telegram.say(PERSON, "Bonjour")
    assert [u["message"]["text"] for u in api.updates(update["update_id"] + 1, wait=1)] == ["Bonjour"]
    api.set_webhook("https://127.0.0.1:1/webhook", "geheim")
    assert api.webhook()["url"] == "https://127.0.0.1:1/webhook"
    with pytest.raises(TelegramRefused) as refused:
        api.updates(0, wait=1)
    assert refused.value.status == 409
    api.delete_webhook()
    assert api.webhook()["url"] == ""


@pytest.mark.parametrize(
    ("prepare", "error"),
    [
        (lambda telegram: telegram.block(PERSON), Blocked),
        (lambda telegram: telegram.chats.all.clear(), Blocked),
        (lambda telegram: telegram.fail_next("sendMessage", 400, "Bad Request: TOPIC_CLOSED"), Blocked),
        (lambda telegram: telegram.fail_next("sendMessage", 400, "Bad Request: autre chose"), TelegramRefused),
        (lambda telegram: telegram.fail_next("sendMessage", 401, "Unauthorized"), TelegramAway),
    ],
)
def test_what_goes_wrong_has_a_name(
    telegram: TelegramServer, api: TelegramApi, prepare: Callable[[TelegramServer], None], error: type[Exception]
) -> None:
    prepare(telegram)
    with pytest.raises(error) as raised:
        api.send(HERE, HELLO)
    assert not getattr(raised.value, "uncertain", False)


def test_a_message_that_is_gone_has_a_name(telegram: TelegramServer, api: TelegramApi) -> None:
    with pytest.raises(MessageGone):
        api.edit(PERSON, 999, HELLO)


def test_a_message_is_never_sent_twice_where_nobody_knows(telegram: TelegramServer, api: TelegramApi) -> None:
    faults: list[Callable[[], None]] = [
        lambda: telegram.drop_next("sendMessage"),
        lambda: telegram.hang_next("sendMessage", 2),
        lambda: telegram.fail_next("sendMessage", 502, "Bad Gateway", done=True),
    ]
    for misbehave in faults:
        before = len(telegram.messages(PERSON))
        misbehave()
        with pytest.raises(TelegramAway) as away:
            api.send(HERE, HELLO)
        assert away.value.uncertain
        assert len(telegram.messages(PERSON)) == before + 1


def test_an_edit_is_tried_again(telegram: TelegramServer, api: TelegramApi) -> None:
    number = api.send(HERE, HELLO)
    telegram.drop_next("editMessageText", times=2)
    api.edit(PERSON, number, Part("Au revoir"))
    assert telegram.messages(PERSON)[0].text == "Au revoir"


def test_where_nobody_listens_nothing_was_done(clock: Clock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    api = TelegramApi(f"123456:{'x' * 35}", url, clock=clock, sleep=clock.sleep)
    for _ in range(3):
        with pytest.raises(TelegramAway) as away:
            api.send(HERE, HELLO)
        assert not away.value.uncertain
    assert away.value.retry_after is not None, "after some attempts nobody tries for a moment"


def test_an_answer_that_is_none_of_telegrams_is_no_answer(telegram: TelegramServer, api: TelegramApi) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        other = TelegramApi(telegram.token + "y", f"http://127.0.0.1:{listener.getsockname()[1]}")
        body = b"<html>captive portal</html>"

        def serve() -> None:
            connection, _ = listener.accept()
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            connection.close()

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(TelegramAway) as away:
            other.send(HERE, HELLO)
    assert away.value.reason == "unreadable"
    assert away.value.uncertain


def test_a_short_429_is_waited_for_and_a_long_one_is_told(
    telegram: TelegramServer, api: TelegramApi, clock: Clock
) -> None:
    telegram.flood_next("sendMessage", 3)
    api.send(HERE, HELLO)
    assert sum(clock.slept) >= 3
    telegram.flood_next("sendMessage", 60)
    with pytest.raises(Flooded) as flooded:
        api.send(HERE, HELLO)
    assert flooded.value.retry_after == 60
    calls = len(telegram.calls)
    with pytest.raises(Flooded):
        api.typing(HERE)
    with pytest.raises(Flooded):
        api.send(HERE, HELLO)
    assert len(telegram.calls) == calls, "Telegram is left alone until its time is over"
    telegram.say(43, "/start")
    api.send(Address(43), HELLO)  # other chats go on


def test_a_chat_is_written_to_once_a_second_after_a_burst(
    telegram: TelegramServer, api: TelegramApi, clock: Clock
) -> None:
    for _ in range(6):
        api.send(HERE, HELLO)
    assert clock.now - 1000 == pytest.approx(3)
    with pytest.raises(Flooded):
        api.edit(PERSON, telegram.messages(PERSON)[0].id, Part("x"), hurry=True)


def test_groups_are_written_to_more_slowly() -> None:
    clock = Clock()
    pace = Pace(clock=clock, sleep=clock.sleep)
    for _ in range(28):
        pace.wait(GROUP, patience=60)
    assert clock.now - 1000 == pytest.approx(60)


def test_all_chats_together_have_a_pace() -> None:
    clock = Clock()
    pace = Pace(overall=10, clock=clock, sleep=clock.sleep)
    for chat in range(1, 31):
        pace.wait(chat, patience=60)
    assert clock.now - 1000 >= 2


def test_nothing_tells_the_token_or_what_was_said(
    telegram: TelegramServer, api: TelegramApi, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[str] = []
    faults: list[Callable[[], None]] = [
        lambda: telegram.drop_next("sendMessage"),
        lambda: telegram.hang_next("sendMessage", 2),
        lambda: telegram.fail_next("sendMessage", 400, f"Bad Request: {HELLO.text}"),
        lambda: telegram.fail_next("sendMessage", 401, "Unauthorized"),
    ]
    with caplog.at_level(logging.DEBUG):
        api.send(HERE, HELLO)
        for misbehave in faults:
            misbehave()
            with pytest.raises((TelegramAway, TelegramRefused)) as raised:
                api.send(HERE, HELLO)
            told += [repr(raised.value), str(raised.value), repr(api)]
            assert raised.value.__suppress_context__ or raised.value.__context__ is None
    captured = capfd.readouterr()
    everything = "\n".join([*told, caplog.text, captured.out, captured.err])
    assert telegram.token not in everything
    assert HELLO.text not in everything
    assert all("?" not in call.method for call in telegram.calls)
