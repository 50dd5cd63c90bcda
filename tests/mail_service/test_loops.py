"""No loop, whoever is on the other side: what is automatic is refused by name, the rest meets the breaker."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from mail_service.storage import Admission, Message, utc_now
from mail_service.work import MailWork
from tests.mail_service.expected import corpus_message
from tests.mail_service.service import Service, build_service, in_background, mail
from tests.mail_system import ALICE, ASSISTANT, BOB, MailSystem
from tests.waiting import until

AUTOMATIC_SENDERS = (
    *("noreply", "no-reply", "ne-pas-repondre", "notifications"),
    *("alerts", "bounces+1=2", "mailer-daemon", "cron"),
)
AUTOMATIC_HEADERS = (
    {"Auto_Submitted": "auto-generated"},
    {"Auto_Submitted": "auto-notified"},
    {"Precedence": "bulk"},
    {"Precedence": "junk"},
    {"List_Id": "<infos.listes.example>"},
    {"X_Auto_Response_Suppress": "All"},
    {"Feedback_ID": "1:2:3"},
    {"X_Autoreply": "yes"},
)


@pytest.fixture
def narrow(mail_system: MailSystem, tmp_path: Path) -> Iterator[Service]:
    """A service whose breaker opens soon."""
    service = build_service(mail_system, tmp_path / "a", None, MAX_EMAILS_PER_SUBJECT_DAY="3")
    yield service
    service.close()


def replies_to(system: MailSystem, user: str) -> list[bytes]:
    return [raw for raw in system.mails(user) if b"auto-replied" in raw]


def test_a_copy_of_ourselves_does_not_answer_our_answers(narrow: Service, mail_system: MailSystem) -> None:
    mail_system.deliver(mail(sender=BOB), sender=BOB)
    until(lambda: mail_system.mails())
    narrow.run()
    until(lambda: replies_to(mail_system, BOB))
    # Bob's mailbox is an assistant like ours: what it answers looks like our own answer.
    answer = replies_to(mail_system, BOB)[0].replace(ASSISTANT.encode(), b"other@client.example")
    mail_system.put(answer.replace(BOB.encode(), ASSISTANT.encode()))
    narrow.run()
    assert narrow.outcomes() == {"completed": 1, "refused auto_submitted": 1}


def test_a_responder_without_any_mark_meets_the_breaker(narrow: Service, mail_system: MailSystem) -> None:
    numbers = itertools.count(1)

    def away() -> bytes:
        return mail(
            "Je suis en congé.", sender=ALICE, subject="Re: Préavis", message_id=f"away-{next(numbers)}@client.example"
        )

    mail_system.put(away())
    for _ in range(8):  # to each of our answers it has one
        narrow.run()
        answered = len(narrow.answerer.asked)
        if answered == len(narrow.messages()):
            mail_system.put(away())
    assert narrow.outcomes() == {"completed": 3, "held subject_limit": 1}
    [held] = [message for message in narrow.messages() if message.state == "held"]
    assert held.due_at is not None
    assert held.due_at > held.received_at


def test_many_subjects_of_one_sender_meet_it_too(mail_system: MailSystem, tmp_path: Path) -> None:
    service = build_service(mail_system, tmp_path, None, MAX_EMAILS_PER_SENDER_HOUR="4")
    for number in range(9):
        mail_system.put(mail(subject=f"Sujet {number}", message_id=f"{number}@client.example"))
    mail_system.put(mail(sender=BOB, message_id="bob@client.example"))
    service.run()
    assert service.outcomes() == {"completed": 5, "held sender_limit": 5}
    service.close()


def test_what_is_held_is_answered_when_the_window_has_moved_on(mail_system: MailSystem, tmp_path: Path) -> None:
    service = build_service(mail_system, tmp_path, None, MAX_EMAILS_PER_HOUR="2")
    for number in range(3):
        mail_system.put(mail(message_id=f"{number}@client.example"))
    service.run()
    assert service.outcomes() == {"completed": 2, "held hourly_limit": 1}
    with service.parts.database:
        Admission.update(at=utc_now() - timedelta(hours=1)).execute()
        Message.update(due_at=utc_now()).where(Message.state == "held").execute()
    service.run()
    assert service.outcomes() == {"completed": 3}
    service.close()


def test_sixty_four_notifications_are_refused_by_name(narrow: Service, mail_system: MailSystem) -> None:
    for number, (local, headers) in enumerate(itertools.product(AUTOMATIC_SENDERS, AUTOMATIC_HEADERS)):
        sender = f"{local}@service.example"
        mail_system.put(mail(sender=sender, message_id=f"{number}@service.example", **headers))
    for number, local in enumerate(AUTOMATIC_SENDERS):
        mail_system.put(mail(sender=f"{local}@service.example", message_id=f"bare-{number}@service.example"))
    for number, headers in enumerate(AUTOMATIC_HEADERS):
        mail_system.put(mail(message_id=f"person-{number}@service.example", **headers))
    narrow.run()
    outcomes = narrow.outcomes()
    assert sum(outcomes.values()) == 80
    assert all(outcome.startswith("refused ") for outcome in outcomes), outcomes
    assert outcomes["refused no_reply_sender"] >= 7
    assert narrow.answerer.asked == []


def test_a_storm_of_bounces_is_silent(narrow: Service, mail_system: MailSystem) -> None:
    for number in range(50):
        mail_system.put(corpus_message("auto-bounce").replace(b"@client.example>", b"-%d@client.example>" % number))
    narrow.run()
    assert narrow.outcomes() == {"refused bounce": 50}


def test_the_bounce_of_our_own_answer_is_not_answered(narrow: Service, mail_system: MailSystem) -> None:
    mail_system.put(mail(sender="gone@client.example"))

    def came_back() -> bool:
        narrow.run()
        return narrow.outcomes() == {"completed": 1, "refused bounce": 1}

    until(came_back)
    assert any(b"multipart/report" in raw for raw in mail_system.mails(folder="Processed"))


def test_refusals_are_counted(narrow: Service, mail_system: MailSystem) -> None:
    for name in ("auto-list", "auto-vacation", "blocked-sender"):
        mail_system.put(corpus_message(name))
    narrow.run()
    with narrow.parts.database:
        refused = narrow.parts.operations().statistics()["refused"]
    assert refused == {"mailing_list": 1, "auto_submitted": 1}


def test_two_workers_count_together(mail_system: MailSystem, tmp_path: Path) -> None:
    service = build_service(mail_system, tmp_path, None, MAX_EMAILS_PER_HOUR="5", MAX_EMAILS_PER_SENDER_HOUR="100")
    for number in range(12):
        mail_system.put(mail(subject=f"Sujet {number}", message_id=f"{number}@client.example"))
    service.poll()
    others = [service.parts.work(service.settings) for _ in range(3)]

    def work_off(work: MailWork) -> None:
        while work.unit():
            pass

    for thread in [in_background(lambda work=work: work_off(work)) for work in others]:  # type: ignore[misc]
        thread.join(30)
    assert service.outcomes() == {"completed": 5, "held hourly_limit": 7}
    until(lambda: len(mail_system.mails(ALICE)) == 5)
    service.close()
