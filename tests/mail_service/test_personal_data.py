"""What is held of a person is given out and erased: rows, attachments, outbox, Redis keys, mail on the server."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from common.redis_store import RedisAway, RedisStore
from mail_service.imap_server import MailAway
from mail_service.storage import Admission, AttachmentText, Message, Reply, ThreadReference, utc_now
from tests import clamav
from tests.mail_service.expected import EICAR, corpus_message
from tests.mail_service.service import Service, build_service, mail
from tests.mail_system import ALICE, BOB, MailSystem
from tests.redis_server import RedisServer, program
from tests.waiting import until

MISSING = clamav.missing() or (None if program() else "redis-server is not installed: tests/system_packages.sh")

pytestmark = pytest.mark.skipif(MISSING is not None and os.environ.get("CI") != "true", reason=str(MISSING))


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.stop()
    server.remove()


@pytest.fixture(scope="module")
def scanner() -> Iterator[clamav.ClamAv]:
    server = clamav.ClamAv(("Eicar-Test", EICAR.encode()))
    server.start()
    yield server
    server.remove()


@pytest.fixture
def service(mail_system: MailSystem, redis: RedisServer, scanner: clamav.ClamAv, tmp_path: Path) -> Iterator[Service]:
    """A service that has answered Alice twice, once with a file, failed her once, and answered Bob."""
    RedisStore(redis.url, prefix="email").client.flushall()
    built = build_service(mail_system, tmp_path, None, REDIS_URL=redis.url, CLAMAV_ADDRESS=scanner.address)
    mail_system.put(mail())
    mail_system.put(corpus_message("attachment-pdf"))
    mail_system.put(corpus_message("empty-body"))
    mail_system.put(mail("Et moi ?", sender=BOB, message_id="bob@client.example"))
    built.run()
    until(lambda: len(mail_system.mails(ALICE)) == 3 and len(mail_system.mails(folder="Sent")) == 4)
    mail_system.put(mail("Je suis Bob et je parle de alice@client.example", sender=BOB, message_id="b2@client.example"))
    yield built
    built.close()


def keys(redis: RedisServer) -> set[str]:
    found: Any = RedisStore(redis.url, prefix="email").client.keys("*")
    return {key.decode() for key in found}


def test_export_gives_everything(service: Service) -> None:
    with service.parts.database:
        exported = service.parts.personal_data(service.settings).export(ALICE)
    text = json.dumps(exported, ensure_ascii=False)
    assert len(exported["messages"]) == 3
    for expected in ("Quelle est la durée du préavis ?", "deux mois", "renouveler sans mon accord", "lettre.pdf"):
        assert expected in text
    assert "Et moi ?" not in text


def test_erase_removes_everything_and_only_that(service: Service, redis: RedisServer) -> None:
    system = service.system
    hers = [message.id for message in service.messages()][:3]
    assert {f"email:{one}:status" for one in hers} <= keys(redis)
    with service.parts.database:
        erased = service.parts.personal_data(service.settings).erase(ALICE)
    assert erased.messages == 3
    assert erased.mails == 6  # three of hers, three of ours to her
    assert erased.redis_keys > 0
    with service.parts.database:
        assert Message.select().count() == 1
        assert (Reply.select().count(), AttachmentText.select().count()) == (1, 0)
        assert Admission.select().count() == 1
        person = service.parts.people.hash_of(ALICE)
        assert not ThreadReference.select().where(ThreadReference.person == person).exists()
    assert not any(key.startswith(tuple(f"email:{one}:" for one in hers)) for key in keys(redis))
    assert [BOB.encode() in raw for raw in system.mails(folder="Processed")] == [True]
    assert [BOB.encode() in raw for raw in system.mails(folder="Sent")] == [True]
    assert system.mails(folder="Failed") == []
    assert len(system.mails()) == 1, "Bob only mentions her"
    with service.parts.database:
        assert service.parts.personal_data(service.settings).erase(ALICE).messages == 0


def test_erase_does_nothing_by_halves(service: Service, redis: RedisServer) -> None:
    data = service.parts.personal_data(service.settings)
    redis.stop()
    with pytest.raises(RedisAway), service.parts.database:
        data.erase(ALICE)
    assert len(service.messages()) == 4
    redis.start()
    service.system.stop_imap()
    try:
        with pytest.raises(MailAway), service.parts.database:
            data.erase(ALICE)
    finally:
        service.system.start_imap()
    assert len(service.messages()) == 4
    with service.parts.database:
        assert data.erase(ALICE).messages == 3


def test_the_database_file_shows_nothing(service: Service) -> None:
    with sqlite3.connect(service.settings.data_dir / "mail_service.sqlite3") as database:
        dump = "\n".join(database.iterdump())
    for secret in ("alice", "client.example", "préavis", "deux mois", "lettre", "renouveler"):
        assert secret not in dump


def test_what_is_old_is_forgotten(service: Service) -> None:
    from mail_service.personal_data import forget_old

    with service.parts.database:
        long_ago = utc_now() - timedelta(days=91)
        Message.update(done_at=long_ago).where(Message.id <= 2).execute()
        assert forget_old(service.parts.database, service.parts.queue, timedelta(days=90)) == 2
        assert [row.id for row in Message.select().order_by(Message.id)] == [3, 4]
        assert Reply.select().count() == 2


def test_after_a_rotation_people_are_still_found(service: Service, redis: RedisServer) -> None:
    old = (service.settings.data_dir / "secret_key").read_text().strip()
    service.close()
    rotated = build_service(
        service.system, service.settings.data_dir, None, SECRET_KEY=f"{'n' * 40},{old}", REDIS_URL=redis.url
    )
    with rotated.parts.database:
        assert len(rotated.parts.personal_data(rotated.settings).export(ALICE)["messages"]) == 3
    rotated.close()
