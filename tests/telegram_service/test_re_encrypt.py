"""`re-encrypt`: what people said under the old secret is read, found and erased when that secret is gone."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from redis import Redis

from common.crypto import Cipher
from telegram_service.cli import main
from telegram_service.history import Lane
from telegram_service.tables import cipher_proxy
from tests.redis_server import RedisServer
from tests.telegram_service.talking import SECRET_KEY, Talking

NEW = "n" * 40
ALICE, BOB = 4_000_001, 4_000_002


def re_encrypt(
    talking: Talking, monkeypatch: pytest.MonkeyPatch, *words: str, secrets: str = f"{NEW},{SECRET_KEY}"
) -> int:
    settings = {
        "DATA_DIR": str(talking.home),
        "REDIS_URL": talking.redis.url,
        "SECRET_KEY": secrets,
        "TELEGRAM_BOT_TOKEN": talking.telegram.token,
        "AI_API_KEY": "cdt-key",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return main(["re-encrypt", *words])


def test_a_conversation_goes_on_and_is_erased_when_the_old_secret_is_gone(
    talk: Callable[..., Talking], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = talk()
    alice = before.person(ALICE)
    alice.say("Quel est mon préavis ?")
    before.idle()
    turns = before.parts.bot.history.turns(Lane(ALICE))
    assert re_encrypt(before, monkeypatch, "--check") == 1
    assert re_encrypt(before, monkeypatch) == 0
    said = capsys.readouterr().out
    assert "Nothing needs an older secret" in said
    assert re_encrypt(before, monkeypatch, "--check") == 0
    after = talk(SECRET_KEY=NEW)
    people = after.parts.bot.people
    assert after.parts.bot.history.turns(Lane(ALICE)) == turns
    assert turns
    assert people.look_up(ALICE) is not None
    exported = after.parts.bot.personal_data.export(ALICE)
    assert [one["question"] for one in exported["conversations"]] == ["Quel est mon préavis ?"]
    after.parts.bot.personal_data.erase(ALICE)
    assert after.parts.bot.personal_data.export(ALICE)["conversations"] == []


def test_what_waits_in_redis_and_dead_letters_are_under_the_newest_secret(
    talk: Callable[..., Talking], redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    talking = talk()
    update = {"update_id": 77, "message": {"message_id": 1, "chat": {"id": BOB}, "from": {"id": BOB}, "text": "secret"}}
    token = Cipher([SECRET_KEY]).encrypt(json.dumps(update))
    with Redis.from_url(redis_server.url) as client:
        client.hset("telegram:dead:77", mapping={"body": token, "reason": "x"})
        client.expire("telegram:dead:77", 1_000)
        client.set(f"user:{BOB}:history", Cipher([SECRET_KEY]).encrypt("[]"), ex=500)
        assert re_encrypt(talking, monkeypatch) == 0
        assert json.loads(Cipher([NEW]).decrypt(client.hget("telegram:dead:77", "body").decode())) == update
        assert Cipher([NEW]).decrypt(client.get(f"user:{BOB}:history").decode()) == "[]"
        assert 0 < client.ttl("telegram:dead:77") <= 1_000
        assert 0 < client.ttl(f"user:{BOB}:history") <= 500


def test_texts_under_a_secret_that_nobody_has_are_said(
    talk: Callable[..., Talking], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    talking = talk()
    talking.person(ALICE).say("Bonjour")
    talking.idle()
    assert re_encrypt(talking, monkeypatch, secrets=NEW) == 1
    assert "Unreadable" in capsys.readouterr().out
    cipher_proxy.initialize(Cipher([SECRET_KEY]))
    assert re_encrypt(talking, monkeypatch) == 0
