"""The fake Bot API server refuses what Telegram refuses: what passes here would pass there."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import requests

from tests.telegram_faults import Rates
from tests.telegram_server import TelegramServer
from tests.waiting import until

PERSON, GROUP = 42, -100


@pytest.fixture
def telegram() -> Iterator[TelegramServer]:
    with TelegramServer(retry=0.01) as server:
        server.say(PERSON, "/start")
        yield server


def ask(telegram: TelegramServer, method: str, **parameters: Any) -> dict[str, Any]:
    body = {key: json.dumps(value) if isinstance(value, (dict, list)) else value for key, value in parameters.items()}
    response = requests.post(f"{telegram.url}/bot{telegram.token}/{method}", data=body, timeout=30)
    told: dict[str, Any] = response.json()
    assert told["ok"] == (response.status_code == 200)
    return told


def send(telegram: TelegramServer, text: str, **more: Any) -> dict[str, Any]:
    return ask(telegram, "sendMessage", chat_id=PERSON, text=text, **more)


def entity(kind: str, offset: int, length: int, **more: Any) -> dict[str, Any]:
    return {"type": kind, "offset": offset, "length": length, **more}


def test_a_message_appears_as_people_see_it(telegram: TelegramServer) -> None:
    told = send(telegram, "  Été 😀 gras \n", entities=[entity("bold", 9, 4)])["result"]
    [shown] = telegram.messages(PERSON)
    assert (shown.id, shown.text, shown.entities) == (told["message_id"], "Été 😀 gras", [entity("bold", 7, 4)])


@pytest.mark.parametrize(
    ("text", "entities"),
    [
        ("", []),
        (" \n ", []),
        ("x" * 4097, []),
        ("😀" * 2049, []),
        ("court", [entity("bold", 0, 6)]),
        ("😀", [entity("bold", 0, 1)]),
        ("court", [entity("bold", 0, 0)]),
        ("croisés", [entity("bold", 0, 4), entity("italic", 2, 5)]),
        ("code gras", [entity("code", 0, 9), entity("bold", 0, 4)]),
        ("lien", [entity("text_link", 0, 4, url="legifrance")]),
        ("lien", [entity("text_link", 0, 4)]),
        ("quoi", [entity("heading", 0, 4)]),
        ("x" * 200, [entity("bold", n, 1) for n in range(101)]),
    ],
)
def test_a_bad_text_or_entity_is_refused(telegram: TelegramServer, text: str, entities: list[dict[str, Any]]) -> None:
    assert send(telegram, text, entities=entities)["error_code"] == 400
    assert telegram.messages(PERSON) == []


@pytest.mark.parametrize(
    "button",
    [
        {"text": "", "callback_data": "x"},
        {"text": "Sans rien"},
        {"text": "Trop", "callback_data": "é" * 33},
        {"text": "Deux", "callback_data": "x", "url": "https://example.org"},
        {"text": "Lien", "url": "example.org"},
    ],
)
def test_a_bad_button_is_refused(telegram: TelegramServer, button: dict[str, str]) -> None:
    assert send(telegram, "Bonjour", reply_markup={"inline_keyboard": [[button]]})["error_code"] == 400


def test_an_edit_that_changes_nothing_or_finds_nothing_is_refused(telegram: TelegramServer) -> None:
    number = send(telegram, "un")["result"]["message_id"]
    assert (
        "not modified" in ask(telegram, "editMessageText", chat_id=PERSON, message_id=number, text="un ")["description"]
    )
    assert ask(telegram, "editMessageText", chat_id=PERSON, message_id=number, text="deux")["ok"]
    assert "not found" in ask(telegram, "editMessageText", chat_id=PERSON, message_id=99, text="x")["description"]
    assert "can't be edited" in ask(telegram, "editMessageText", chat_id=PERSON, message_id=1, text="x")["description"]
    assert [(m.text, m.edits) for m in telegram.messages(PERSON)] == [("deux", 1)]


def test_tokens_methods_parameters_and_chats_are_checked(telegram: TelegramServer) -> None:
    assert requests.get(f"{telegram.url}/bot1:{'x' * 35}/getMe", timeout=30).status_code == 401
    assert requests.get(f"{telegram.url}/botnothing/getMe", timeout=30).status_code == 404
    assert ask(telegram, "sendMessage", chat_id=7, text="x")["description"] == "Bad Request: chat not found"
    assert ask(telegram, "getMe", verbose=1)["error_code"] == 400
    assert ask(telegram, "getNothing")["error_code"] == 404
    in_address = f"{telegram.url}/bot{telegram.token}/sendMessage?chat_id={PERSON}&text=x"
    assert requests.get(in_address, timeout=30).status_code == 400
    assert len(telegram.strange) == 3
    telegram.strange.clear()


def test_leaving_it_fails_the_test_of_a_bot_that_asked_strange_things() -> None:
    with pytest.raises(AssertionError, match="getNothing"), TelegramServer() as server:
        ask(server, "getNothing")


def test_who_blocked_the_bot_gets_nothing(telegram: TelegramServer) -> None:
    telegram.block(PERSON)
    assert send(telegram, "Bonjour")["error_code"] == 403
    telegram.block(PERSON, blocked=False)
    assert send(telegram, "Bonjour")["ok"]


def test_floods_are_refused_by_rate_and_on_demand(telegram: TelegramServer) -> None:
    telegram.flood_next("sendMessage", 3)
    assert send(telegram, "x")["parameters"] == {"retry_after": 3}
    now = [0.0]
    with TelegramServer(rates=Rates(burst=2, clock=lambda: now[0])) as limited:
        limited.say(PERSON, "/start")
        assert [send(limited, str(n))["ok"] for n in range(3)] == [True, True, False]
        now[0] = 1.0
        assert send(limited, "x")["ok"]


def test_a_call_may_be_dropped_or_refused_with_or_without_effect(telegram: TelegramServer) -> None:
    for done in (True, False):
        telegram.drop_next("sendMessage", done=done)
        with pytest.raises(requests.ConnectionError):
            send(telegram, f"coupé, fait: {done}")
        telegram.fail_next("sendMessage", 502, "Bad Gateway", done=done)
        assert send(telegram, f"refusé, fait: {done}")["error_code"] == 502
    assert [m.text for m in telegram.messages(PERSON)] == ["coupé, fait: True", "refusé, fait: True"]


def test_buttons_that_people_see_can_be_pressed_and_answered(telegram: TelegramServer) -> None:
    send(telegram, "Choisissez", reply_markup={"inline_keyboard": [[{"text": "Oui", "callback_data": "v1:yes"}]]})
    query = telegram.press(PERSON, telegram.messages(PERSON)[0], "Oui")
    update = ask(telegram, "getUpdates")["result"][-1]["callback_query"]
    assert (update["id"], update["data"], update["from"]["id"]) == (query, "v1:yes", PERSON)
    assert ask(telegram, "answerCallbackQuery", callback_query_id=query)["ok"]
    assert ask(telegram, "answerCallbackQuery", callback_query_id="0")["error_code"] == 400
    with pytest.raises(AssertionError, match="no button"):
        telegram.press(PERSON, telegram.messages(PERSON)[0], "Non")


def test_files_go_both_ways(telegram: TelegramServer) -> None:
    telegram.upload(PERSON, b"%PDF", "contrat.pdf", mime_type="application/pdf", caption="Lisez")
    message = ask(telegram, "getUpdates")["result"][-1]["message"]
    path = ask(telegram, "getFile", file_id=message["document"]["file_id"])["result"]["file_path"]
    assert requests.get(f"{telegram.url}/file/bot{telegram.token}/{path}", timeout=30).content == b"%PDF"
    assert message["caption"] == "Lisez"
    url = f"{telegram.url}/bot{telegram.token}/sendDocument"
    files = {"document": ("export.json", b"{}")}
    assert requests.post(url, data={"chat_id": PERSON}, files=files, timeout=30).json()["ok"]
    assert telegram.messages(PERSON)[0].file == ("export.json", b"{}")


def test_polling_confirms_by_offset_waits_and_yields_to_webhooks(telegram: TelegramServer) -> None:
    [first] = ask(telegram, "getUpdates")["result"]
    later = threading.Timer(0.05, telegram.say, (PERSON, "Bonjour"))
    later.start()
    [second] = ask(telegram, "getUpdates", offset=first["update_id"] + 1, timeout=20)["result"]
    assert second["message"]["text"] == "Bonjour"
    later.join()
    assert ask(telegram, "setWebhook", url="https://127.0.0.1:1/webhook")["ok"]
    assert ask(telegram, "getUpdates")["error_code"] == 409
    assert ask(telegram, "setWebhook", url="http://example.org/")["error_code"] == 400


def test_a_webhook_is_pushed_in_order_again_until_it_takes_the_update(telegram: TelegramServer) -> None:
    taken: list[tuple[str | None, str]] = []
    refusals = [503, 401]

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = refusals.pop() if refusals else 200
            if status == 200:
                taken.append((self.headers["X-Telegram-Bot-Api-Secret-Token"], body["message"]["text"]))
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    hook = HTTPServer(("127.0.0.1", 0), Webhook)
    threading.Thread(target=hook.serve_forever, args=(0.01,), daemon=True).start()
    try:
        telegram.updates.receipts_to_lose = 1
        ask(telegram, "setWebhook", url=f"http://127.0.0.1:{hook.server_address[1]}/webhook", secret_token="geheim")
        telegram.say(PERSON, "un")
        telegram.say(PERSON, "deux")
        until(lambda: telegram.updates.waiting() == 0)
    finally:
        hook.shutdown()
        hook.server_close()
    assert taken == [("geheim", text) for text in ("/start", "/start", "un", "deux")]
    assert [delivery.status for delivery in telegram.updates.deliveries] == [401, 503, 200, 200, 200, 200]


def test_groups_have_topics_and_no_drafts(telegram: TelegramServer) -> None:
    telegram.say(PERSON, "/ask Bonjour", chat=GROUP, topic=7)
    assert ask(telegram, "sendMessage", chat_id=GROUP, text="x", message_thread_id=7)["result"]["is_topic_message"]
    assert ask(telegram, "sendMessage", chat_id=GROUP, text="x", message_thread_id=8)["error_code"] == 400
    assert ask(telegram, "sendMessageDraft", chat_id=GROUP, draft_id=1, text="x")["error_code"] == 400
    assert ask(telegram, "sendMessageDraft", chat_id=PERSON, draft_id=1, text="x")["ok"]
