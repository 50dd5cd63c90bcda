"""Encrypted texts, people's hashes, and the secret behind them."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import peewee
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.crypto import Cipher, EncryptedTextField, Undecryptable, person_hash, secret_keys

OLD, NEW, OTHER = "o" * 40, "n" * 40, "x" * 40


@given(st.text(st.characters(), max_size=50))
def test_every_text_comes_back(text: str) -> None:
    cipher = Cipher([NEW])
    assert cipher.decrypt(cipher.encrypt(text)) == text


def test_lone_surrogates_come_back() -> None:
    assert Cipher([NEW]).decrypt(Cipher([NEW]).encrypt("a\ud800b")) == "a\ud800b"


def test_a_token_tells_nothing_of_its_text() -> None:
    cipher = Cipher([NEW])
    first, second = cipher.encrypt("préavis"), cipher.encrypt("préavis")
    assert first != second
    assert "préavis" not in first


def test_after_a_rotation_old_texts_are_read_and_new_ones_need_the_new_secret() -> None:
    old_text = Cipher([OLD]).encrypt("avant")
    both = Cipher([NEW, OLD])
    assert both.decrypt(old_text) == "avant"
    assert Cipher([NEW]).decrypt(both.encrypt("après")) == "après"
    assert Cipher([NEW]).decrypt(both.renewed(old_text)) == "avant"


@pytest.mark.parametrize("token", ["", "é", "gAAAA", "x" * 200])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(Undecryptable):
        Cipher([NEW]).decrypt(token)


def test_another_secret_reads_nothing() -> None:
    with pytest.raises(Undecryptable) as refused:
        Cipher([OTHER]).decrypt(Cipher([NEW]).encrypt("secret de Paul"))
    assert "Paul" not in str(refused.value)


def test_a_column_is_encrypted_on_disk(tmp_path: Path) -> None:
    cipher = peewee.Proxy()
    database = peewee.SqliteDatabase(str(tmp_path / "a.sqlite3"))

    class Note(peewee.Model):
        id = peewee.AutoField()
        text = EncryptedTextField(cipher, null=True)

    with database.bind_ctx([Note]):
        database.create_tables([Note])
        cipher.initialize(Cipher([NEW]))
        Note.create(text="Je m'appelle Élodie")
        Note.create(text=None)
        assert [note.text for note in Note.select().order_by(Note.id)] == ["Je m'appelle Élodie", None]
        stored = database.execute_sql("SELECT text FROM note ORDER BY id").fetchall()
    assert "lodie" not in stored[0][0]
    assert stored[1][0] is None


def test_a_person_is_known_by_channel_and_id_and_secret() -> None:
    people = {
        person_hash(NEW, "telegram", "12"),
        person_hash(NEW, "telegram1", "2"),
        person_hash(NEW, "mail", "12"),
        person_hash(NEW, "telegram", "\ud800"),
        person_hash(OLD, "telegram", "12"),
    }
    assert len(people) == 5
    assert all(len(person) == 32 and int(person, 16) >= 0 for person in people)
    assert person_hash(NEW, "telegram", "12") == person_hash(NEW, "telegram", "12")


def test_a_configured_secret_makes_no_file(tmp_path: Path) -> None:
    assert secret_keys((NEW, OLD), tmp_path / "secret_key") == (NEW, OLD)
    assert list(tmp_path.iterdir()) == []


def test_processes_that_start_together_make_one_secret(tmp_path: Path) -> None:
    file = tmp_path / "data" / "secret_key"
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: secret_keys((), file), range(24)))
    assert len(found) == 1
    assert len(found.pop()[0]) >= 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["secret_key"]
