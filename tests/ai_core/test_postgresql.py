"""The same service over PostgreSQL: schema, keys, the Code, and a database that goes away and comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ai_core.knowledge import sheet_importer
from ai_core.knowledge.sheet_base import SheetBase
from ai_core.storage import ApiKey, KnowledgeRevision
from common.database import Migration, connection, migrate, open_database
from tests.ai_core.knowledge.small_sheets import HOLIDAYS, SMALL_SHEETS, write_sheets
from tests.fakes import Core, build_core
from tests.postgres import Postgres, running


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running() as server:
        yield server


@pytest.fixture
def core(postgres: Postgres, tmp_path: Path) -> Iterator[Core]:
    unlimited = dict.fromkeys(("RATE_LIMIT_PER_MINUTE", "RATE_LIMIT_GLOBAL_PER_MINUTE"), "100000")
    built = build_core(tmp_path, DATABASE_URL=postgres.url, **unlimited)  # type: ignore[arg-type]
    yield built
    built.parts.model.stop()


def ask(core: Core, key: str, message: str = "Que dit l'article L9999-1 ?") -> tuple[int, dict[str, object]]:
    response = core.app.test_client().post("/api/v1/chat", json={"message": message}, headers={"X-API-Key": key})
    return response.status_code, response.get_json()


def test_processes_that_start_together_make_one_schema(postgres: Postgres) -> None:
    def start(_: int) -> list[str]:
        database = open_database(postgres.url)
        step = Migration("one", lambda database: database.execute_sql("CREATE TABLE once (id INTEGER)"))
        return migrate(database, "race", [step])

    with ThreadPoolExecutor(6) as pool:
        applied = list(pool.map(start, range(6)))
    assert sorted(applied) == [[], [], [], [], [], ["one"]]


def test_keys_live_and_die_there(core: Core) -> None:
    admin = core.headers("admin")
    client = core.app.test_client()
    made = client.post("/api/v1/admin/keys", json={"name": "Café", "scopes": ["chat"]}, headers=admin).get_json()
    assert ask(core, made["key"])[0] == 200
    with connection(core.parts.database):
        assert ApiKey.get_by_id(made["id"]).last_used_at is not None
    assert client.delete(f"/api/v1/admin/keys/{made['id']}", headers=admin).status_code == 204
    assert ask(core, made["key"])[0] == 401


def test_the_code_is_imported_searched_and_replaced(core: Core) -> None:
    core.install_code({"L9999-1": "Le salarié reçoit une lampe."})
    status, answer = ask(core, core.key("chat"))
    assert status == 200
    assert "L9999-1" in str(answer["sources"])
    core.install_code({"L9999-1": "Le salarié reçoit deux lampes."})
    with connection(core.parts.database):
        assert KnowledgeRevision.select().where(KnowledgeRevision.active == True).count() == 1  # noqa: E712 - SQL


def test_practical_sheets_are_imported_and_replaced(core: Core, tmp_path: Path) -> None:
    database, data_dir = core.parts.database, core.settings.data_dir
    for sheets in ({"particuliers/F1": HOLIDAYS}, SMALL_SHEETS):
        package = write_sheets(tmp_path / "fiches.tgz", sheets)
        revision = sheet_importer.update(database, data_dir, package, progress=lambda _: None)
    loaded = SheetBase.load(database, data_dir)
    assert (loaded.revision, len(loaded)) == (revision, 2)
    assert loaded.search("préavis de démission", 1)[0].sheet.number == "F2883"


def test_while_the_database_is_away_questions_are_answered_and_then_it_recovers(core: Core, postgres: Postgres) -> None:
    key, unseen, admin = core.key("chat"), core.key("chat"), core.headers("admin")
    client = core.app.test_client()
    assert ask(core, key)[0] == 200
    assert client.get("/api/v1/admin/keys", headers=admin).status_code == 200
    postgres.stop()
    try:
        assert ask(core, key, "Que dit l'article L9999-2 ?")[0] == 200
        for status, error in (ask(core, unseen), ask(core, key[:-1] + "x")):
            assert (status, error["code"]) in ((503, "database_unavailable"), (401, "unauthorized"))
        assert client.get("/api/v1/admin/keys", headers=admin).status_code == 503
        assert client.get("/health").status_code == 200
        assert client.get("/health/ready").status_code == 503
    finally:
        postgres.start()
    assert ask(core, unseen)[0] == 200


def test_questions_go_on_while_the_database_is_restarted(core: Core, postgres: Postgres) -> None:
    key = core.key("chat")
    assert ask(core, key)[0] == 200
    results: list[int] = []
    stop = threading.Event()

    def keep_asking(number: int) -> None:
        count = 0
        while not stop.is_set():
            count += 1
            results.append(ask(core, key, f"Question {number} {count} ?")[0])

    threads = [threading.Thread(target=keep_asking, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        postgres.stop()
        postgres.start()
    stop.set()
    for thread in threads:
        thread.join(30)
    assert len(results) > 20
    assert set(results) == {200}
