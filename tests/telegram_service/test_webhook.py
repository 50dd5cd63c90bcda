"""The web edge: who may post, what is queued, what happens while Redis is away; health and figures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from telegram_service.app import create_app
from telegram_service.composition import Parts, compose
from telegram_service.settings import Settings
from tests.log_watch import learn_texts
from tests.redis_server import RedisServer
from tests.telegram_server import TelegramServer
from tests.telegram_service.test_mailbox import message
from tests.waiting import until

SECRET = "un-secret-du-webhook"
HEADER = "X-Telegram-Bot-Api-Secret-Token"


@pytest.fixture
def telegram() -> Iterator[TelegramServer]:
    with TelegramServer() as server:
        yield server


@pytest.fixture
def settings(telegram: TelegramServer, redis_server: RedisServer, tmp_path: Path) -> Settings:
    return Settings.from_environment(
        {
            "DATA_DIR": str(tmp_path),
            "REDIS_URL": redis_server.url,
            "TELEGRAM_BOT_TOKEN": telegram.token,
            "TELEGRAM_API_URL": telegram.url,
            "WEBHOOK_SECRET": SECRET,
            "AI_API_URL": "http://127.0.0.1:9",
            "AI_API_KEY": "cdt-key",
        }
    )


@pytest.fixture
def parts(settings: Settings) -> Parts:
    made = compose(settings)
    made.prepare_database()
    return made


@pytest.fixture
def app(settings: Settings, parts: Parts) -> Flask:
    return learn_texts(create_app(settings, parts))


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def post(client: FlaskClient, update: Any, secret: str | None = SECRET) -> Any:
    return client.post("/webhook", json=update, headers={} if secret is None else {HEADER: secret})


def test_an_update_is_queued_once(client: FlaskClient, parts: Parts) -> None:
    assert post(client, message(1)).get_json() == {"status": "queued"}
    answer = post(client, message(1))
    assert (answer.status_code, answer.get_json()) == (200, {"status": "known"})
    assert parts.mailbox.lengths()["waiting"] == 1


@pytest.mark.parametrize("secret", [None, "", SECRET[:-1], SECRET + "x", SECRET.upper(), "sécrèt", "x" * 5_000])
def test_whoever_does_not_know_the_secret_gets_401_and_queues_nothing(
    client: FlaskClient, parts: Parts, secret: str | None
) -> None:
    for update in (message(1), {"update_id": 2, "message": {"text": "/cancel", "chat": {"id": 101}}}):
        answer = post(client, update, secret)
        assert answer.status_code == 401
        assert answer.get_json()["code"] == "unauthorized"
    assert parts.mailbox.lengths()["waiting"] == 0
    assert not parts.mailbox.is_stopped("101:0", 101, 0)
    assert "received" not in parts.mailbox.figures()


def test_what_is_no_update_is_refused(client: FlaskClient, parts: Parts) -> None:
    headers = {HEADER: SECRET}
    assert post(client, {"message": {}}).status_code == 400
    assert post(client, [1]).status_code == 400
    assert client.post("/webhook", data=b"{", headers=headers, content_type="application/json").status_code == 400
    assert client.post("/webhook", data=b"x=1", headers=headers).status_code == 415
    assert post(client, message(1, text="x" * 2_000_000)).status_code == 413
    assert client.get("/webhook").status_code == 405
    assert parts.mailbox.lengths()["waiting"] == 0


@pytest.mark.parametrize(
    "update",
    [
        {"update_id": 1},
        {"update_id": 1, "message": {}},
        {"update_id": 1, "message": {"chat": {"id": "x"}, "from": {"id": None}, "text": 7}},
        {"update_id": 1, "callback_query": {"from": {"id": 101}, "data": "stop"}},
        {"update_id": 1, "inline_query": {"from": {"id": 101}, "query": "préavis"}},
        {"update_id": 1, "something_new": {"chat": {"id": -7}}},
        {"update_id": 1, "message": None},
    ],
)
def test_odd_updates_are_queued_like_others(client: FlaskClient, parts: Parts, update: Any) -> None:
    assert post(client, update).status_code == 200
    claim = parts.mailbox.claim("w")
    assert claim is not None
    assert claim.update == update


def stop_press(number: int, data: str = "stop:7", chat: int = 101) -> dict[str, Any]:
    told = {"message_id": 3, "chat": {"id": chat, "type": "private"}}
    return {"update_id": number, "callback_query": {"id": "9", "from": {"id": chat}, "message": told, "data": data}}


@pytest.mark.parametrize(
    ("update", "stops"),
    [
        (message(9, text="/cancel"), True),
        (message(9, text="/cancel@code_du_travail_bot"), True),
        (message(9, text="/cancelled"), False),
        (message(9, text="Comment annuler : /cancel"), False),
        (stop_press(9), True),
        (stop_press(9, data="stop"), True),
        (stop_press(9, data="stopover"), False),
    ],
)
def test_stop_and_cancel_pass_by_the_queue(client: FlaskClient, parts: Parts, update: Any, stops: bool) -> None:
    post(client, message(5))
    running = parts.mailbox.claim("w")
    assert running is not None
    post(client, update)
    assert parts.mailbox.is_stopped(running.lane, 101, running.update_id) is stops
    assert parts.mailbox.lengths()["waiting"] == 1, "it is queued as well, for its own reply"


def test_while_redis_is_away_telegram_is_told_to_come_again(settings: Settings) -> None:
    server = RedisServer(durable=True)
    server.start()
    try:
        parts = compose(Settings.from_environment({**environment(settings), "REDIS_URL": server.url}))
        parts.prepare_database()
        client = create_app(settings, parts).test_client()
        server.stop()
        answer = post(client, message(1))
        assert (answer.status_code, answer.get_json()["code"]) == (503, "queue_unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
        assert client.get("/health").status_code == 200
        ready = client.get("/health/ready")
        assert (ready.status_code, ready.get_json()["components"]["queue"]["status"]) == (503, "down")
        server.start()
        until(parts.mailbox.is_up)
        assert post(client, message(1)).get_json() == {"status": "queued"}
    finally:
        server.remove()


def environment(settings: Settings) -> dict[str, str]:
    return {
        "DATA_DIR": str(settings.data_dir),
        "TELEGRAM_BOT_TOKEN": settings.telegram_bot_token,
        "TELEGRAM_API_URL": settings.telegram_api_url,
        "WEBHOOK_SECRET": SECRET,
        "AI_API_KEY": "cdt-key",
    }


def test_the_database_is_not_needed_to_take_updates(settings: Settings) -> None:
    url = "postgresql://nobody@127.0.0.1:9/nothing"
    parts = compose(
        Settings.from_environment({**environment(settings), "REDIS_URL": settings.redis_url, "DATABASE_URL": url})
    )
    client = create_app(settings, parts).test_client()
    assert post(client, message(1)).status_code == 200
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.get_json()["components"]["database"]["status"]) == (200, "degraded")
    assert client.get("/metrics", headers={"X-API-Key": "cdt-" + "0" * 12 + "-" + "A" * 43}).status_code == 503


def test_readiness_tells_of_each_part(client: FlaskClient, telegram: TelegramServer) -> None:
    ready = client.get("/health/ready").get_json()
    states = {name: part["status"] for name, part in ready["components"].items()}
    assert states == {
        "queue": "degraded", "database": "ok", "telegram": "ok", "webhook": "ok", "ai_core": "degraded"
    }  # fmt: skip
    assert "appendonly" in ready["components"]["queue"]["detail"], (
        "the tests' Redis would lose updates, and that is told"
    )
    assert telegram.token not in json.dumps(ready)


def test_figures_need_a_key(client: FlaskClient, parts: Parts) -> None:
    assert client.get("/metrics").status_code == 401
    with parts.database:
        record, key = parts.keys.create("Prometheus", "metrics")
    post(client, message(1))
    claim = parts.mailbox.claim("w")
    assert claim is not None
    parts.mailbox.done(claim)
    text = client.get("/metrics", headers={"X-API-Key": key}).text
    for line in (
        "telegram_updates_received_total 1.0",
        "telegram_updates_done_total 1.0",
        'telegram_queue_length{place="waiting"} 0.0',
        'telegram_update_seconds_bucket{le="+Inf"} 1.0',
        'http_requests_total{method="POST",route="/webhook",status="200"} 1.0',
    ):
        assert line in text
    with parts.database:
        assert parts.keys.revoke(record.id)
    assert client.get("/metrics", headers={"X-API-Key": key}).status_code == 401


def test_who_guesses_keys_is_locked_out(client: FlaskClient) -> None:
    answers = {client.get("/metrics", headers={"X-API-Key": "guess"}).status_code for _ in range(25)}
    assert answers == {401, 429}
    assert client.get("/health").status_code == 200


def test_every_route_is_public_by_name_or_needs_a_key(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        answer = app.test_client().open(rule.rule, method=sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})[0])
        public = rule.endpoint in ("health.alive", "health.ready")
        assert (answer.status_code == 200) is public, rule.rule
        assert public or answer.status_code == 401, rule.rule
