"""`re-encrypt`: what people wrote under the old secret is read, found and counted when that secret is gone."""

from __future__ import annotations

from pathlib import Path

import peewee
import pytest

from common.database import connection
from common.retired_keys import RetiredKeys
from mail_service.cli import main
from mail_service.people import CHANNEL, People
from mail_service.storage import Admission, Message, Reply, ThreadReference, open_storage
from mail_service.threads import earlier_turns

OLD, NEW = "o" * 40, "n" * 40
ALICE, BOB = "alice@client.example", "bob@client.example"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings = {
        "DATA_DIR": str(tmp_path),
        "EMAIL_ADDRESS": "assistant@cdt.example",
        "EMAIL_PASSWORD": "ouvre-toi",
        "IMAP_HOST": "imap.example",
        "SMTP_HOST": "smtp.example",
        "AI_API_KEY": "cdt-key",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def opened(home: Path, *secrets: str) -> tuple[peewee.Database, People]:
    database = open_storage(f"sqlite:///{home / 'mail_service.sqlite3'}", secrets)
    return database, People(secrets, RetiredKeys(database, secrets))


def answered(people: People, sender: str, question: str, *, thread: str = "t1") -> Message:
    message = Message.create(
        identity=question,
        state="completed",
        person=people.hash_of(sender),
        subject_key=people.subject_key(sender, "Préavis"),
        thread=thread,
        sender=sender,
        subject="Préavis",
        question=question,
        answer="Deux mois.",
    )
    Reply.create(message=message, kind="answer", our_id=question, state="sent", recipient=sender, raw="Deux mois.")
    Admission.create(person=message.person, subject_key=message.subject_key)
    ThreadReference.create(person=message.person, digest=question, thread=thread)
    return message


def re_encrypt(monkeypatch: pytest.MonkeyPatch, *words: str, secrets: str = f"{NEW},{OLD}") -> int:
    monkeypatch.setenv("SECRET_KEY", secrets)
    return main(["re-encrypt", *words])


def test_a_conversation_goes_on_when_the_old_secret_is_gone(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    database, people = opened(home, OLD)
    with connection(database):
        answered(people, ALICE, "première question")
        answered(people, BOB, "question de Bob", thread="t2")
    assert re_encrypt(monkeypatch, "--check") == 1
    assert re_encrypt(monkeypatch) == 0
    assert "it can be taken out of SECRET_KEY" in capsys.readouterr().out
    assert re_encrypt(monkeypatch, "--check") == 0
    database, people = opened(home, NEW)
    with connection(database):
        second = answered(people, ALICE, "deuxième question")
        assert [turn["content"] for turn in earlier_turns(second)] == ["première question", "Deux mois."]
        mine = Admission.select().where(Admission.person == people.hash_of(ALICE))
        assert {row.subject_key for row in mine} == {people.subject_key(ALICE, "Préavis")}
        assert mine.count() == 2  # the breaker counts as before
        assert ThreadReference.select().where(ThreadReference.person == people.hash_of(ALICE)).count() == 2
        assert {row.recipient for row in Reply.select()} == {ALICE, BOB}
        assert people.hashes_of(ALICE)[1:]  # what the AI core was told of Alice before
        assert people.hashes_of(ALICE)[1:] == RetiredKeys(database, [NEW]).hashes_of(CHANNEL, ALICE)


def test_a_message_under_both_hashes_becomes_one_person(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database, people = opened(home, OLD)
    with connection(database):
        answered(people, ALICE, "une")
    database, people = opened(home, NEW, OLD)
    with connection(database):
        answered(people, ALICE, "deux")
        ThreadReference.create(person=people.hash_of(ALICE), digest="une", thread="t1")  # known under both
    assert re_encrypt(monkeypatch) == 0
    with connection(database):
        assert {row.person for row in Message.select()} == {people.hash_of(ALICE)}
        assert sorted(row.digest for row in ThreadReference.select()) == ["deux", "une"]


def test_a_message_under_a_lost_secret_stops_nobody_elses(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    database, people = opened(home, "l" * 40)
    with connection(database):
        answered(people, BOB, "perdue")
    database, people = opened(home, OLD)
    with connection(database):
        answered(people, ALICE, "lisible")
    assert re_encrypt(monkeypatch) == 1
    assert "Unreadable" in capsys.readouterr().out
    database, people = opened(home, NEW)
    with connection(database):
        (row,) = Message.select().where(Message.person == people.hash_of(ALICE))
        assert row.question == "lisible"
