"""The whole corpus in one inbox: each message comes to the end that the table names, none holds up another one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from mail_service.storage import Message
from tests import clamav
from tests.mail_service.expected import EICAR, EXPECTED, corpus_message
from tests.mail_service.service import Service, build_service
from tests.mail_system import MailSystem

MISSING = clamav.missing() or (None if shutil.which("tesseract") else "tesseract is not installed")

pytestmark = pytest.mark.skipif(MISSING is not None and os.environ.get("CI") != "true", reason=str(MISSING))

# What a server does not store, a person cannot send: Dovecot refuses NUL bytes.
NOT_FOR_SERVERS = ("text-with-nul-bytes", "broken-not-a-message")
# Addresses to which the tests' server takes no mail: it says so for good.
UNKNOWN_THERE = ("reply-to-same-domain", "sender-international")


@pytest.fixture(scope="module")
def processed(running_mail_system: MailSystem, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that has gone through the corpus."""
    running_mail_system.empty()
    scanner = clamav.ClamAv(("Eicar-Test", EICAR.encode()))
    scanner.start()
    service = build_service(
        running_mail_system,
        tmp_path_factory.mktemp("corpus"),
        None,
        CLAMAV_ADDRESS=scanner.address,
        AUTHSERV_ID="mx.cdt.example",
        BLOCKED_SENDERS="bloque.example",
        MAX_EMAILS_PER_HOUR="1000",
        MAX_EMAILS_PER_SENDER_HOUR="1000",
        MAX_EMAILS_PER_SUBJECT_DAY="1000",
    )
    for name in names():
        running_mail_system.put(corpus_message(name))
    service.run()
    yield service
    service.close()
    scanner.remove()


def names() -> list[str]:
    return [name for name in sorted(EXPECTED) if name not in NOT_FOR_SERVERS]


def test_every_message_comes_to_its_end(processed: Service) -> None:
    rows = processed.messages()
    ends = {name: f"{row.state} {row.reason}".strip() for name, row in zip(names(), rows, strict=True)}
    expected = {name: EXPECTED[name].outcome.replace("answered", "completed") for name in names()}
    assert ends == {**expected, **dict.fromkeys(UNKNOWN_THERE, "failed smtp_refused")}


def test_the_ai_core_is_asked_what_people_wrote(processed: Service) -> None:
    for name, row in zip(names(), processed.messages(), strict=True):
        if EXPECTED[name].outcome == "answered":
            asked = f"{row.subject}\n{row.question}"
            assert EXPECTED[name].says in asked, name
            assert not EXPECTED[name].hides or EXPECTED[name].hides not in asked, name


def test_everything_left_the_inbox(processed: Service) -> None:
    system = processed.system
    assert system.mails() == []
    ends = [EXPECTED[name].outcome for name in names()]
    junk = ("refused infected", "refused spam", "refused dmarc_failed", "refused blocked_sender")
    failed = [end for end in ends if end.startswith("failed")]
    assert len(system.mails(folder="Junk")) == len([end for end in ends if end in junk])
    assert len(system.mails(folder="Failed")) == len(failed) + len(UNKNOWN_THERE)


def test_what_could_not_be_read_of_a_file_is_said_in_the_answer(processed: Service) -> None:
    with processed.parts.database:
        by_name = dict(zip(names(), Message.select().order_by(Message.id), strict=True))
        told = {name: processed.parts.operations().shown(row.id) for name, row in by_name.items()}
    outcomes = {
        "attachment-zip-bomb": "too_large",
        "attachment-pdf-password": "encrypted",
        "attachment-lying-name": "unsupported",
        "attachment-zip": "unsupported",
        "huge-ten-megabytes": "text",
        "attachment-pdf": "pdf",
        "attachment-picture": "image",
        "tnef-only": "tnef",
    }
    for name, outcome in outcomes.items():
        shown = told[name]
        assert shown is not None
        assert [file["outcome"] for file in shown["attachments"]] == [outcome], name


def test_logs_hold_nothing_of_it(processed: Service, caplog: pytest.LogCaptureFixture) -> None:
    for secret in ("préavis", "alice", "Exemple", "client.example", "mot de passe"):
        assert secret not in caplog.text
