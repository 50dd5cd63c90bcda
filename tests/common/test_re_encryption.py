"""Texts under older secrets come under the newest one, while others write, whatever kills it in the middle."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import peewee
import pytest

from common import re_encryption, retired_keys
from common.crypto import Cipher, EncryptedTextField, Undecryptable, person_hash
from common.database import connection, migrate, open_database
from common.re_encryption import Renewer, Tally, re_encrypt_tables
from common.re_encryption_report import report
from common.retired_keys import RetiredKeys
from tests.waiting import until

OLD, NEW, LOST = "o" * 40, "n" * 40, "l" * 40
ROWS = 450

proxy = peewee.DatabaseProxy()
cipher = peewee.Proxy()


class Note(peewee.Model):
    id = peewee.AutoField()
    plain = peewee.TextField(default="")
    first = EncryptedTextField(cipher)
    second = EncryptedTextField(cipher, null=True)

    class Meta:
        database = proxy
        legacy_table_names = False


class Plain(peewee.Model):
    word = peewee.TextField()

    class Meta:
        database = proxy
        legacy_table_names = False


@pytest.fixture
def database(database_url: str) -> Iterator[peewee.Database]:
    opened = open_database(database_url)
    proxy.initialize(opened)
    use(OLD)
    with connection(opened):
        opened.create_tables([Note, Plain])
        with opened.atomic():
            for number in range(ROWS):
                Note.create(first=f"question {number}", second=None if number % 3 else "réponse ❤")
    migrate(opened, "test", [retired_keys.MIGRATION])
    yield opened
    opened.close()


def use(*secrets: str) -> None:
    cipher.initialize(Cipher(secrets))


def texts() -> list[tuple[Any, ...]]:
    return [(row.first, row.second) for row in Note.select().order_by(Note.id)]


def test_everything_is_read_with_the_newest_secret_alone(database: peewee.Database) -> None:
    before = texts()
    assert re_encrypt_tables(database, (Note, Plain), Renewer([NEW, OLD])) == {"note": Tally(ROWS + ROWS // 3)}
    use(NEW)
    assert texts() == before
    use(OLD)
    with pytest.raises(Undecryptable):
        texts()


def test_a_second_run_finds_nothing_to_do(database: peewee.Database) -> None:
    re_encrypt_tables(database, (Note,), Renewer([NEW, OLD]))
    assert re_encrypt_tables(database, (Note,), Renewer([NEW, OLD])) == {"note": Tally(current=ROWS + ROWS // 3)}


def test_a_check_changes_nothing(database: peewee.Database) -> None:
    tallies = re_encrypt_tables(database, (Note,), Renewer([NEW, OLD], dry=True))
    assert report(tallies, dry=True)[1] == 1
    use(OLD)
    assert len(texts()) == ROWS


def test_a_run_that_was_killed_goes_on(database: peewee.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    real = re_encryption._replace
    written: list[int] = []

    def dies(*arguments: Any) -> None:
        if len(written) == 250:
            raise KeyboardInterrupt
        written.append(1)
        real(*arguments)

    monkeypatch.setattr(re_encryption, "_replace", dies)
    with pytest.raises(KeyboardInterrupt):
        re_encrypt_tables(database, (Note,), Renewer([NEW, OLD]))
    monkeypatch.undo()
    use(NEW, OLD)
    assert len(texts()) == ROWS  # half way, all of it is read
    tally = re_encrypt_tables(database, (Note,), Renewer([NEW, OLD]))["note"]
    assert 0 < tally.current <= 250
    use(NEW)
    assert len(texts()) == ROWS


def test_what_is_written_meanwhile_is_not_overwritten(
    database: peewee.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = re_encryption._replace

    def late(where: peewee.Database, table: Any, column: Any, key: Any, token: str, fresh: str) -> None:
        if key == 1 and column.name == "first":
            Note.update(first="changed meanwhile").where(Note.id == 1).execute()
        real(where, table, column, key, token, fresh)

    use(NEW, OLD)
    first = Note.select().order_by(Note.id).first()
    assert first.id == 1
    monkeypatch.setattr(re_encryption, "_replace", late)
    re_encrypt_tables(database, (Note,), Renewer([NEW, OLD]))
    assert Note.get_by_id(1).first == "changed meanwhile"


def test_a_writer_goes_on_all_the_while(database: peewee.Database) -> None:
    use(NEW, OLD)
    stop, written = threading.Event(), []

    def write() -> None:
        while not stop.is_set():
            with connection(database):
                Note.create(first="neue", second=None)
            written.append(1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        until(lambda: written)
        re_encrypt_tables(database, (Note,), Renewer([NEW, OLD]))
    finally:
        stop.set()
        writer.join()
    use(NEW)
    assert len(texts()) == ROWS + len(written)


def test_a_text_under_a_lost_secret_is_counted_and_left(database: peewee.Database) -> None:
    use(LOST)
    Note.create(first="perdu")
    tally = re_encrypt_tables(database, (Note,), Renewer([NEW, OLD]))["note"]
    assert tally.unreadable == 1
    lines, status = report({"note": tally}, dry=False)
    assert status == 1
    assert "run again" in lines[-1]
    assert re_encrypt_tables(database, (Note,), Renewer([NEW, OLD, LOST]))["note"].renewed == 1


def test_people_are_found_under_a_secret_that_is_gone(database: peewee.Database) -> None:
    assert RetiredKeys(database, [OLD]).hashes_of("mail", "a@b") == []
    during = RetiredKeys(database, [NEW, OLD])
    assert (during.missing([OLD]), during.retire([OLD]), during.retire([OLD]), during.missing([OLD])) == (1, 1, 0, 0)
    after = RetiredKeys(database, [NEW])
    assert after.hashes_of("mail", "a@b") == [person_hash(OLD, "mail", "a@b")]
    # Through the next rotation, too; and not twice for a secret that is still in use.
    RetiredKeys(database, [LOST, NEW]).retire([NEW])
    found = RetiredKeys(database, [LOST]).hashes_of("mail", "a@b")
    assert sorted(found) == sorted(person_hash(secret, "mail", "a@b") for secret in (OLD, NEW))
    assert RetiredKeys(database, [LOST, NEW]).hashes_of("mail", "a@b") == [person_hash(OLD, "mail", "a@b")]


def test_a_kept_key_tells_nothing_of_the_secret(database: peewee.Database) -> None:
    RetiredKeys(database, [NEW, OLD]).retire([OLD])
    with connection(database):
        stored = str(database.execute_sql("SELECT fingerprint, wrapped FROM retired_key").fetchall())
    assert OLD not in stored
    assert RetiredKeys(database, [LOST]).hashes_of("mail", "a@b") == []  # wrapped by the newest of then


def test_kept_keys_go_when_no_row_is_old_enough_to_need_them(database: peewee.Database) -> None:
    keys = RetiredKeys(database, [NEW, OLD])
    keys.retire([OLD])
    assert (keys.forget(90), keys.forget(-1)) == (0, 1)
    assert RetiredKeys(database, [NEW]).hashes_of("mail", "a@b") == []
