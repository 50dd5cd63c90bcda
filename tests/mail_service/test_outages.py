"""Something is away: mail waits, then it is answered; or it fails, and its sender is told once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import peewee
import pytest

from common.database import connection
from common.process import Progress
from mail_service.answering import Answer, AnswererAway, Ask, QuestionRefused
from mail_service.process import run_worker
from mail_service.storage import FIRST_TABLES, Message, Reply, utc_now
from tests import clamav, redis_server
from tests.mail_service.expected import EICAR, corpus_message
from tests.mail_service.service import ScriptedAnswerer, Service, build_service, in_background, mail, read
from tests.mail_service.smtp_server import refusing_server
from tests.mail_system import ALICE, MailSystem
from tests.postgres import Postgres, running
from tests.waiting import until

SOON = {"RETRY_SECONDS": "0.05", "LEASE_SECONDS": "0.5", "SEND_CHECK_AFTER": "0"}
Build = Callable[..., Service]


@pytest.fixture
def build(mail_system: MailSystem, tmp_path: Path) -> Iterator[Build]:
    """Makes services that do not wait long."""
    built: list[Service] = []

    def make(answerer: ScriptedAnswerer | None = None, **variables: str) -> Service:
        built.append(build_service(mail_system, tmp_path, answerer, **{**SOON, **variables}))
        return built[-1]

    yield make
    for service in built:
        service.close()


class Broken(ScriptedAnswerer):
    """An AI core that fails a few times."""

    def __init__(self, times: int, failure: Exception) -> None:
        super().__init__()
        self.times = times
        self.failure = failure

    def answer(self, ask: Ask) -> Answer:
        if self.times:
            self.times -= 1
            raise self.failure
        return super().answer(ask)


def works_off(service: Service, outcome: str, count: int = 1) -> None:
    def done() -> bool:
        service.work_off()
        return service.outcomes() == {outcome: count}

    until(done)


def letters_to_alice(system: MailSystem, count: int) -> list[str]:
    until(lambda: len(system.mails(ALICE)) >= count)
    time.sleep(0.3)
    found = [read(raw).get_body(("plain",)) for raw in system.mails(ALICE)]
    assert len(found) == count
    return [body.get_content() for body in found if body is not None]


def test_the_mailbox_is_away_and_comes_back(build: Build, mail_system: MailSystem) -> None:
    service = build()
    mail_system.put(mail())
    service.poll()
    mail_system.stop_imap()
    service.poller.close()  # Dovecot serves sessions that are open to their end
    try:
        assert not service.poller.poll()
        service.work_off(1)  # what was taken in is answered; the reply waits here or in Postfix, as it knows us or not
        assert len(service.answerer.asked) == 1
    finally:
        mail_system.start_imap()
    works_off(service, "completed")
    until(service.poller.poll)
    assert len(mail_system.mails(folder="Processed")) == 1
    assert len(letters_to_alice(mail_system, 1)) == 1


@pytest.mark.parametrize("at", ["RCPT", "DATA"])
def test_a_server_that_says_later_is_asked_later(build: Build, mail_system: MailSystem, at: str) -> None:
    with refusing_server(mail_system.home, "451 4.7.1 Greylisted", "452 4.3.1 Full", at=at) as (port, handler):
        service = build(SMTP_PORT=str(port))
        mail_system.put(mail())
        service.poll()
        works_off(service, "completed")
        assert len(handler.taken) == 1


def test_a_clock_that_is_set_back_keeps_no_mail_waiting(build: Build, mail_system: MailSystem) -> None:
    def meanwhile(_: Ask) -> str:
        if len(service.answerer.asked) == 1:
            set_back(lease_until=ahead)
            raise peewee.OperationalError("the worker ends here")
        return "Deux mois."

    def set_back(**values: object) -> None:
        with connection(service.parts.database):
            Message.update(**values).execute()

    ahead = utc_now() + timedelta(hours=1)
    service = build(ScriptedAnswerer(says=meanwhile))
    mail_system.put(mail())
    service.poll()
    set_back(due_at=ahead)
    with pytest.raises(peewee.OperationalError):
        service.work_off()
    mail_system.stop_smtp()
    try:
        service.work_off()
        assert service.outcomes() == {"replying": 1}
        with connection(service.parts.database):
            Reply.update(due_at=ahead, attempts=0).execute()
    finally:
        mail_system.start_smtp()
    works_off(service, "completed")
    assert len(letters_to_alice(mail_system, 1)) == 1


def test_a_server_that_says_never_gets_one_apology_to_deliver(build: Build, mail_system: MailSystem) -> None:
    with refusing_server(mail_system.home, "554 5.7.1 Content rejected") as (port, handler):
        service = build(SMTP_PORT=str(port))
        mail_system.put(mail())
        service.poll()
        works_off(service, "failed smtp_refused")
        service.work_off()
        [apology] = map(read, handler.taken)
        body = apology.get_body(("plain",))
        assert body is not None
        assert "incident technique" in body.get_content()
        service.poll()
    assert len(mail_system.mails(folder="Failed")) == 1


def test_while_nobody_takes_mail_replies_wait(build: Build, mail_system: MailSystem) -> None:
    service = build()
    mail_system.put(mail())
    service.poll()
    mail_system.stop_smtp()
    try:
        service.work_off()
        time.sleep(0.2)
        service.work_off()
        assert service.outcomes() == {"replying": 1}
    finally:
        mail_system.start_smtp()
    works_off(service, "completed")
    assert len(letters_to_alice(mail_system, 1)) == 1


def test_while_the_ai_core_is_away_messages_are_held(build: Build, mail_system: MailSystem) -> None:
    service = build(Broken(7, AnswererAway("ai_away")))
    mail_system.put(mail())
    service.poll()
    service.work_off(1)
    assert service.outcomes() == {"held ai_away": 1}
    works_off(service, "completed")
    assert len(letters_to_alice(mail_system, 1)) == 1


def test_who_has_waited_for_too_long_is_told_once(build: Build, mail_system: MailSystem) -> None:
    service = build(Broken(10**6, AnswererAway("ai_away")), GIVE_UP_AFTER_HOURS="0")
    mail_system.put(mail())
    service.poll()
    works_off(service, "failed ai_away")
    service.work_off()
    [apology] = letters_to_alice(mail_system, 1)
    assert "incident technique" in apology
    service.poll()
    assert len(mail_system.mails(folder="Failed")) == 1


def test_an_error_that_nobody_foresaw_is_tried_again_a_few_times(build: Build, mail_system: MailSystem) -> None:
    service = build(Broken(2, RuntimeError("surprise")))
    mail_system.put(mail())
    service.poll()
    works_off(service, "completed")


def test_a_message_that_breaks_everybody_fails_alone(build: Build, mail_system: MailSystem) -> None:
    class Allergic(ScriptedAnswerer):
        def answer(self, ask: Ask) -> Answer:
            if "poison" in ask.question:
                raise RuntimeError("surprise")
            return super().answer(ask)

    service = build(Allergic(), MAX_ATTEMPTS="2")
    mail_system.put(mail("poison", message_id="poison@client.example"))
    mail_system.put(mail())
    service.poll()
    until(lambda: service.work_off() >= 0 and service.outcomes() == {"failed repeated_failure": 1, "completed": 1})
    assert any("incident technique" in letter for letter in letters_to_alice(mail_system, 2))


def test_a_question_that_is_refused_gets_one_apology(build: Build, mail_system: MailSystem) -> None:
    service = build(Broken(1, QuestionRefused()))
    mail_system.put(mail())
    service.poll()
    works_off(service, "failed question_refused")
    service.work_off()
    [apology] = letters_to_alice(mail_system, 1)
    assert "Reformulez" in apology


@pytest.mark.skipif(clamav.missing() is not None and os.environ.get("CI") != "true", reason=str(clamav.missing()))
def test_while_the_scanner_is_away_nothing_is_opened(build: Build, mail_system: MailSystem) -> None:
    scanner = clamav.ClamAv(("Eicar-Test", EICAR.encode()))
    service = build(CLAMAV_ADDRESS=scanner.address)
    mail_system.put(corpus_message("attachment-pdf"))
    mail_system.put(corpus_message("attachment-eicar"))
    mail_system.put(mail())
    service.poll()
    service.work_off(3)
    assert service.outcomes() == {"held scanner_away": 2, "completed": 1}
    assert [ask.question for ask in service.answerer.asked] == ["Quelle est la durée du préavis ?"]
    scanner.start()
    try:
        ends = {"completed": 2, "refused infected": 1}
        until(lambda: service.work_off() >= 0 and service.outcomes() == ends)
        service.poll()
        assert len(mail_system.mails(folder="Junk")) == 1
        assert "renouveler" in service.answerer.asked[-1].question
    finally:
        scanner.remove()


@pytest.mark.skipif(
    redis_server.program() is None and os.environ.get("CI") != "true",
    reason="redis-server is not installed: tests/system_packages.sh",
)
def test_redis_goes_and_comes_back(build: Build, mail_system: MailSystem) -> None:
    redis = redis_server.RedisServer()
    redis.start()
    service = build(REDIS_URL=redis.url)
    mail_system.put(mail())
    service.poll()
    assert service.parts.queue.lengths() == {"pending": 1, "processing": 0, "completed": 0, "failed": 0}
    redis.stop()
    service.work_off()
    assert service.outcomes() == {"completed": 1}
    redis.start()
    mail_system.put(mail(message_id="2@client.example"))
    until(lambda: service.parts.queue.is_up())
    service.run()
    assert service.outcomes() == {"completed": 2}
    assert service.parts.queue.lengths() == {"pending": 0, "processing": 0, "completed": 1, "failed": 0}
    redis.stop()
    redis.remove()


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running() as server:
        yield server


def test_over_postgresql_the_same_happens(build: Build, mail_system: MailSystem, postgres: Postgres) -> None:
    service = build(DATABASE_URL=postgres.url)
    mail_system.put(mail())
    mail_system.put(corpus_message("auto-list"))
    mail_system.put(corpus_message("empty-body"))
    service.run()
    assert service.outcomes() == {"completed": 1, "refused mailing_list": 1, "failed empty": 1}
    assert len(letters_to_alice(mail_system, 2)) == 2


def test_the_database_restarts_in_the_middle(build: Build, mail_system: MailSystem, postgres: Postgres) -> None:
    def stops_the_database(_: Ask) -> str:
        if not stopped:
            postgres.stop()
            stopped.append(True)
        return "Deux mois."

    stopped: list[bool] = []
    service = build(ScriptedAnswerer(says=stops_the_database), DATABASE_URL=postgres.url)
    with service.parts.database:
        for table in reversed(FIRST_TABLES):
            table.delete().execute()
    mail_system.put(mail())
    service.poll()
    stopping = threading.Event()
    thread = in_background(lambda: run_worker(service.work, stopping, Progress()))
    until(lambda: bool(stopped))
    with pytest.raises(peewee.PeeweeException):
        service.messages()
    assert not service.poller.poll()
    postgres.start()
    until(lambda: service.outcomes() == {"completed": 1})
    stopping.set()
    thread.join(20)
    assert len(letters_to_alice(mail_system, 1)) == 1
