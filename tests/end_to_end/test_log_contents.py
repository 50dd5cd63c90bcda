"""What a running server writes to its logs, on stdout and in files, holds no question, key, token or address."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from common.auth import make_key
from tests.end_to_end.server import Server
from tests.fakes import Core
from tests.log_watch import LogWatch, leaks

QUESTION = "Mon employeur Gérard Lefèbvre refuse mon congé parental, que faire ?"
ADDRESS = "gerard.lefebvre@example.org"
PERSON = "utilisateur-telegram-778899"
HUB_TOKEN = "hf_" + "a1B2" * 8
WRONG_KEY = make_key().text


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(
        tmp_path_factory.mktemp("logs"), LOG_LEVEL="DEBUG", KNOWLEDGE_UPDATE_AT="off", WEBHOOK_KEY=HUB_TOKEN
    )
    running.start()
    yield running
    running.stop()


def ask_everything(server: Server) -> str:
    """Use every kind of request that carries something of a person; returns the key that was used."""
    key = server.new_key("chat", "models", "admin")
    question = {"message": QUESTION, "channel": "mail", "user_id": ADDRESS}
    mail = {"sender": ADDRESS, "subject": QUESTION, "thread_id": PERSON, "previous_messages": []}
    assert server.post("/api/v1/chat", question, key)[0] == 200
    assert server.post("/api/v1/chat", {**question, "temperature": QUESTION}, key)[0] == 422
    assert server.post("/api/v1/chat", {**question, QUESTION: 1}, key)[0] == 422
    assert server.post("/api/v1/generate", {"prompt": QUESTION, "email_context": mail}, key)[0] == 200
    assert server.post("/api/v1/chat", question, WRONG_KEY)[0] == 401
    assert [name for name, _ in server.stream({**question, "user_id": PERSON}, key).events()][-1] == "done"
    server.stream(question, key).leave()
    server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": QUESTION}], "user": ADDRESS}, key)
    server.post("/api/v1/models/download", {"model_name": "nobody/nothing", "auth_token": HUB_TOKEN}, key)
    headers = {"X-API-Key": key}
    server.get(f"/api/v1/knowledge/search?q={quote(QUESTION)}", headers)
    server.get(f"/api/v1/admin/users/mail/{quote(ADDRESS)}/export", headers)
    server.get(f"/{quote(QUESTION)}?key={key}", headers)
    return key


def test_nothing_that_people_said_or_hold_is_logged(server: Server) -> None:
    key = ask_everything(server)
    server.stop()
    files = sorted((server.data_dir / "logs").iterdir())
    logs = {path.name: path.read_text() for path in files} | {"stdout": server.log.read_text()}
    assert any(".info." in name for name in logs)
    assert '"route": "/api/v1/chat"' in logs["stdout"]  # it did log
    for name, text in logs.items():
        assert leaks(text, [QUESTION, ADDRESS, PERSON, HUB_TOKEN, key, WRONG_KEY, "Lefèbvre"]) == [], name


def test_the_database_holds_no_id_and_no_question_either(server: Server) -> None:
    stored = b"".join(path.read_bytes() for path in server.data_dir.glob("ai_core.sqlite3*"))
    for text in (QUESTION, ADDRESS, PERSON, "Lefèbvre"):
        assert text.encode() not in stored


@pytest.mark.parametrize(
    "line",
    [
        f"asked: {QUESTION}",
        f"refused {ADDRESS}",
        pytest.param(f"GET /?key={WRONG_KEY}", id="a key"),
        f"token {HUB_TOKEN}",
        "https://api.telegram.org/bot123456789:" + "AA" * 17,
        "Authorization: Bearer abcdefghijkl",
    ],
)
def test_the_watch_would_see_it(line: str) -> None:
    assert leaks(line, [QUESTION])


def test_the_watch_learns_what_requests_say(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = LogWatch()
    monkeypatch.setattr("tests.log_watch.WATCH", watch)
    core.app.test_client().post("/api/v1/chat", json={"message": QUESTION}, headers=core.headers("chat"))
    record = logging.makeLogRecord({"name": "ai_core.x", "msg": "answering", "question": QUESTION})
    watch.emit(logging.makeLogRecord({"name": "ai_core.x", "msg": "answering"}))
    assert not watch._found
    watch.emit(record)
    assert watch._found


def test_every_line_is_json_and_names_its_request(server: Server) -> None:
    for path in Path(server.data_dir / "logs").iterdir():
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            assert {"time", "level", "service", "logger", "message"} <= set(entry)
            assert entry["message"] != "request" or entry["request_id"]
