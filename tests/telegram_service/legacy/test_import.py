"""`telegram-service import`: the earlier bot's people, settings and conversations are taken over, once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import redis

from common.database import connection
from telegram_service.cli import main
from telegram_service.composition import Parts, compose
from telegram_service.history import Lane
from telegram_service.settings import Settings
from telegram_service.storage import Person, Turn, Usage
from tests.redis_server import RedisServer

ROWS = int(os.environ.get("IMPORT_ROWS", "1600"))  # of an export
TOKEN = "123456789:" + "A" * 35
MARIE, PAUL = 700_000_001, 700_000_002
LONG = "Bonjour, " + "je voudrais savoir " * 5


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer) -> Path:
    for name, value in variables(tmp_path, redis_server).items():
        monkeypatch.setenv(name, value)
    return tmp_path


def variables(home: Path, server: RedisServer) -> dict[str, str]:
    return {
        "DATA_DIR": str(home / "data"),
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "AI_API_KEY": "cdt-key",
        "REDIS_URL": server.url,
        "SECRET_KEY": "k" * 40,
    }


@pytest.fixture
def parts(home: Path, redis_server: RedisServer) -> Iterator[Parts]:
    """The service as it is after the imports; to be asked for last."""
    built = compose(Settings.from_environment(variables(home, redis_server)))
    built.prepare_database()
    with connection(built.database):
        yield built


def run(capsys: pytest.CaptureFixture[str], *arguments: Path | str) -> tuple[int, str]:
    status = main(["import", *map(str, arguments)])
    told = capsys.readouterr()
    return status, told.out + told.err


LOG = f"""\
2025-03-01 09:15:02,250 - telegram_bot - INFO - Received message from marie ({MARIE}): Quel préavis ?...
2025-03-01 09:15:09,001 - telegram_bot - INFO - Generated response in 6.75s for user marie
2025-03-01 10:00:00,000 - telegram_bot - INFO - Received message from Unknown ({PAUL}): {LONG[:100]}...
2025-03-01 10:00:01,000 - telegram_bot - ERROR - HTTP error https://api.telegram.org/bot{TOKEN}/sendMessage
Traceback (most recent call last):
2025-03-01 10:01:00,000 - mailserver_email_bot - INFO - Processing email from a@client.example: rien
2025-03-01 10:02:00,000 - __main__ - INFO - Generated response in 1.00s for user carole
2025-03-01 10:03:00,000 - telegram_bot - INFO - Received message from groupe (-100123): ?...
"""


def test_logs_tell_who_wrote_when_and_how_it_began(
    home: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    log = home / "bot.log"
    log.write_text(LOG)
    assert run(capsys, "--logs", log)[0] == 1
    for outcome in ("taken", "here already"):
        status, told = run(capsys, "--logs", log, "--apply")
        assert status == 1
        assert f"2 {outcome}" in told
        assert "2 rejected" in told
        assert TOKEN not in told
    request.getfixturevalue("parts")
    marie, paul = Person.select().order_by(Person.first_seen_at)
    assert (marie.telegram_id, marie.messages, marie.noticed) == (str(MARIE), 1, False)
    assert marie.first_seen_at == datetime(2025, 3, 1, 8, 15, 2, 250_000), "the log was written in Paris"
    assert (paul.telegram_id, paul.messages) == (str(PAUL), 1)
    first, second = Turn.select().order_by(Turn.at)
    assert (first.question, first.answer) == ("Quel préavis ?", None)
    assert second.question == f"{LONG[:100]} […]", "what the log cut short is marked"
    assert Usage.get().seconds == 6.75
    rejects = [json.loads(line) for file in (home / "data").glob("import-rejects-*") for line in file.open()]
    assert {each["line"] for each in rejects} == {7, 8}


def test_many_rows_broken_ones_included(
    home: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    turns: list[dict[str, Any]] = [
        {
            "user_id": MARIE + number % 300,
            "message": f"Question {number}",
            "response": f"Réponse {number}" if number % 3 else None,
            "timestamp": 1_740_830_400 + number,
        }
        for number in range(ROWS)
    ]
    turns[10] = {**turns[10], "user_id": "marie"}
    turns[20] = {**turns[20], "timestamp": "hier"}
    turns[30] = {**turns[30], "message": ""}
    turns.append({"channel": "mail", "message": "?"})
    users: list[dict[str, Any]] = [
        {"id": MARIE + number, "first_seen": "2024-05-01T00:00:00Z", "message_count": 40, "is_blocked": number == 7}
        for number in range(400)
    ]
    users[5] = {"id": -5}
    settings: dict[str, dict[str, Any]] = {
        str(MARIE): {"language": "en", "temperature": 0.3, "current_model": "mistral-7b-instruct"},
        str(PAUL): {"theme": "dark"},
    }
    export = home / "export.json"
    export.write_text(json.dumps({"users": users, "conversations": turns, "settings": settings}))
    tables = [word for table in ("users", "conversations", "settings") for word in (f"--{table}", export)]
    for outcome in ("taken", "here already"):
        status, told = run(capsys, *tables, "--apply")
        assert status == 1
        assert ("400: 1 rejected, 399 taken" if outcome == "taken" else "400: 399 here already") in told
        assert f"{ROWS - 3} {outcome}" in told
        assert "1 of others" in told
    parts: Parts = request.getfixturevalue("parts")
    assert Turn.select().count() == ROWS - 3
    marie = parts.bot.people.look_up(MARIE)
    assert marie is not None
    chosen = marie.preferences
    assert (chosen.language, chosen.temperature, chosen.model) == ("en", 0.3, "mistral-7b-instruct")
    assert Person.select().where(Person.blocked).count() == 1
    assert Person.get(Person.person == marie.hash).first_seen_at == datetime(2024, 5, 1)
    assert parts.bot.history.turns(Lane(MARIE)) == [], "an old conversation is over"


def test_the_earlier_redis_is_read_and_left_as_it_is(
    capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    server = RedisServer()
    try:
        server.start()
        client = redis.Redis.from_url(server.url)
        client.set(f"user:{MARIE}:session", json.dumps({"last_activity": "2025-03-01T12:00:00Z"}))
        turns = [{"role": "user", "content": "Et après ?"}, {"role": "assistant", "content": "Un mois."}]
        client.set(f"user:{MARIE}:history", json.dumps([*turns, {"role": "user", "content": "Merci"}]))
        client.hset(f"user:{PAUL}:settings", mapping={"language": "fr", "temperature": "0.9"})
        client.rpush(f"user:{PAUL}:history", json.dumps({"question": "Oui ?", "answer": "Non."}), "no json")
        client.set("user:x:settings", "{}")
        before = {key: client.dump(key) for key in client.keys()}  # noqa: SIM118 - the server's command
        for _ in range(2):
            status, told = run(capsys, "--redis", server.url, "--apply")
            assert (status, "1 rejected" in told, "1 of no use" in told) == (1, True, True)
        assert {key: client.dump(key) for key in client.keys()} == before  # noqa: SIM118
    finally:
        server.remove()
    request.getfixturevalue("parts")
    assert [(turn.question, turn.answer) for turn in Turn.select().order_by(Turn.at)] == [
        ("Et après ?", "Un mois."),
        ("Merci", None),
    ]
    assert Person.select().count() == 2


def test_settings_of_the_environment_are_mapped_and_the_token_is_never_shown(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env = home / ".env"
    env.write_text(f"TELEGRAM_BOT_TOKEN={TOKEN} # of BotFather\nTELEGRAM_CHAT_ID=42\nTELEGRAM_TOP_K=50\n")
    _, told = run(capsys, "--env", env, "--to", home / "etc", "--apply")
    assert TOKEN not in told
    assert (home / "etc" / "telegram_service.env").read_text() == "ADMIN_USERS=42\n"
    assert (home / "etc" / "credentials" / "telegram_service" / "TELEGRAM_BOT_TOKEN").read_text() == TOKEN


def test_a_redis_that_does_not_answer_is_told_without_its_address(capsys: pytest.CaptureFixture[str]) -> None:
    status, told = run(capsys, "--redis", "redis://:secret@127.0.0.1:1/0")
    assert (status, "secret" in told, "--redis: ConnectionError" in told) == (1, False, True)
