"""Events reach their receivers signed, once where all goes well, and again where it does not."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import peewee
import pytest

from ai_core import webhooks
from ai_core.storage import WebhookDelivery, open_storage, utc_now
from ai_core.webhooks import DELIVERED, GIVEN_UP, PENDING, Webhooks, receiver_of
from common.database import connection

KEY = "k" * 32
PATIENCE = 20.0  # seconds


class Receiver:
    """A web server that keeps what it is sent and answers with `status`, a redirect to `location`, or nothing."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        self.location = ""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
                if receiver.status == 0:
                    self.connection.close()  # in the middle
                    return
                self.send_response(receiver.status)
                if receiver.location:
                    self.send_header("Location", receiver.location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on stderr."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?token=abc"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    started = Receiver()
    yield started
    started.stop()


def sender(database: peewee.Database, *urls: str) -> Webhooks:
    return Webhooks(database, urls, KEY)


def emit(hooks: Webhooks, event: str = "model.loaded", **data: object) -> None:
    """Returns once it is written down."""
    before = WebhookDelivery.select().count()
    hooks.emit(event, data)
    until = time.monotonic() + PATIENCE
    while WebhookDelivery.select().count() == before:
        assert time.monotonic() < until
        time.sleep(0.01)


def make_due() -> None:
    WebhookDelivery.update(next_attempt_at=utc_now()).execute()


def states() -> list[str]:
    return [row.state for row in WebhookDelivery.select().order_by(WebhookDelivery.created_at)]


def test_an_event_arrives_signed_and_once(database: peewee.Database, receiver: Receiver) -> None:
    hooks = sender(database, receiver.url)
    emit(hooks, model_id="modèle")
    hooks.deliver()
    hooks.deliver()
    ((headers, body),) = receiver.received
    assert json.loads(body)["data"] == {"model_id": "modèle"}
    assert headers["x-webhook-event"] == json.loads(body)["event"] == "model.loaded"
    signed = headers["x-webhook-timestamp"].encode() + b"." + body
    assert headers["x-webhook-signature"] == "sha256=" + hmac.new(KEY.encode(), signed, hashlib.sha256).hexdigest()
    assert abs(int(headers["x-webhook-timestamp"]) - time.time()) < 60
    assert states() == [DELIVERED]


@pytest.mark.parametrize("status", [500, 404, 302, 0])
def test_one_that_is_refused_is_sent_again_later_with_the_same_id(
    database: peewee.Database, receiver: Receiver, status: int
) -> None:
    hooks = sender(database, receiver.url)
    receiver.status, receiver.location = status, receiver.url if status == 302 else ""
    emit(hooks)
    hooks.deliver()
    hooks.deliver()  # not due yet
    assert len(receiver.received) == 1
    assert states() == [PENDING]
    receiver.status, receiver.location = 200, ""
    make_due()
    hooks.deliver()
    assert states() == [DELIVERED]
    assert len({headers["x-webhook-id"] for headers, _ in receiver.received}) == 1


def test_no_redirect_is_followed(database: peewee.Database, receiver: Receiver) -> None:
    other = Receiver()
    receiver.status, receiver.location = 307, other.url
    hooks = sender(database, receiver.url)
    emit(hooks)
    hooks.deliver()
    other.stop()
    assert (len(receiver.received), other.received) == (1, [])


def test_after_many_attempts_it_is_given_up(database: peewee.Database, receiver: Receiver) -> None:
    receiver.status = 500
    hooks = sender(database, receiver.url)
    emit(hooks)
    WebhookDelivery.update(attempts=webhooks.ATTEMPTS - 1).execute()
    hooks.deliver()
    assert states() == [GIVEN_UP]
    make_due()
    hooks.deliver()
    assert len(receiver.received) == 1


def test_waits_grow_and_are_not_all_the_same(database: peewee.Database, receiver: Receiver) -> None:
    receiver.status = 500
    waits = []
    for attempts in (0, 0, 0, 5):
        hooks = sender(database, receiver.url)
        emit(hooks)
        WebhookDelivery.update(attempts=attempts).execute()
        hooks.deliver()
        waits.append((WebhookDelivery.get().next_attempt_at - utc_now()).total_seconds())
        WebhookDelivery.delete().execute()
    assert len({round(wait, 2) for wait in waits}) == 4
    assert all(5 < wait < 13 for wait in waits[:3])
    assert waits[3] > 200


def test_a_receiver_that_fails_is_left_alone_and_holds_nobody_up(database: peewee.Database, receiver: Receiver) -> None:
    gone = Receiver()
    gone.status = 500
    hooks = sender(database, gone.url, receiver.url)
    for number in range(webhooks.OPEN_AFTER + 2):
        emit(hooks, number=number)
    until = time.monotonic() + PATIENCE
    while WebhookDelivery.select().count() < 2 * (webhooks.OPEN_AFTER + 2):
        assert time.monotonic() < until
        time.sleep(0.01)
    hooks.deliver()
    make_due()
    hooks.deliver()
    gone.stop()
    assert len(gone.received) == webhooks.OPEN_AFTER
    assert len(receiver.received) == webhooks.OPEN_AFTER + 2


def test_a_receiver_that_was_removed_gets_nothing_more(database: peewee.Database, receiver: Receiver) -> None:
    emit(sender(database, receiver.url))
    sender(database, "http://127.0.0.1:9/other").deliver()
    assert (states(), receiver.received) == ([GIVEN_UP], [])


def test_nothing_is_kept_where_nobody_listens(database: peewee.Database) -> None:
    hooks = sender(database)
    hooks.emit("model.loaded", {})
    hooks.deliver()
    assert states() == []


def test_the_address_is_not_stored(database: peewee.Database, receiver: Receiver) -> None:
    emit(sender(database, receiver.url))
    assert WebhookDelivery.get().receiver == receiver_of(receiver.url)
    assert "token" not in str(list(WebhookDelivery.select().tuples()))


def test_what_was_delivered_is_forgotten_after_a_while(database: peewee.Database, receiver: Receiver) -> None:
    hooks = sender(database, receiver.url)
    emit(hooks)
    WebhookDelivery.update(created_at=utc_now() - timedelta(days=8)).execute()
    assert hooks.forget_old() == 0  # still to be delivered
    hooks.deliver()
    assert hooks.forget_old() == 1


def test_while_the_database_is_away_events_are_told_from_memory(tmp_path: Path, receiver: Receiver) -> None:
    database = open_storage(f"sqlite:///{tmp_path / 'a.sqlite3'}")
    with connection(database):
        database.execute_sql("ALTER TABLE webhook_delivery RENAME TO away")
    hooks = sender(database, receiver.url)
    receiver.status = 500
    hooks.emit("component.unhealthy", {"component": "database"})
    hooks.deliver()
    receiver.status = 200
    hooks.deliver()
    assert len(receiver.received) == 2
    hooks.emit("component.recovered", {"component": "database"})
    with connection(database):
        database.execute_sql("ALTER TABLE away RENAME TO webhook_delivery")
    hooks.deliver()
    assert [headers["x-webhook-event"] for headers, _ in receiver.received][2:] == ["component.recovered"]
