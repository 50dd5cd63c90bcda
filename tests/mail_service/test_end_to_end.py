"""The service as an operator runs it: real processes, Postfix, Dovecot, ClamAV, the AI core with its embedded model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests import clamav
from tests.common.extraction.pictures import encoded, letter, photograph
from tests.corpus import legi_package
from tests.end_to_end.server import Server
from tests.mail_service.expected import EICAR
from tests.mail_service.service import mail, read
from tests.mail_system import ALICE, MailSystem

ROOT = Path(__file__).resolve().parents[2]
ANSWERED_WITHIN = 60.0  # seconds
MISSING = clamav.missing() or (None if shutil.which("tesseract") else "tesseract is not installed")

pytestmark = pytest.mark.skipif(MISSING is not None and os.environ.get("CI") != "true", reason=str(MISSING))


@pytest.fixture(scope="module")
def ai_core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("core"))
    server.command("knowledge", "update", "--from", str(legi_package()))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def scanner() -> Iterator[clamav.ClamAv]:
    server = clamav.ClamAv(("Eicar-Test", EICAR.encode()))
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def service(
    running_mail_system: MailSystem, ai_core: Server, scanner: clamav.ClamAv, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MailSystem]:
    """The mail system with a poller and a worker at it."""
    running_mail_system.empty()
    data_dir = tmp_path_factory.mktemp("mail")
    environment = running_mail_system.settings(
        data_dir,
        AI_API_URL=f"http://127.0.0.1:{ai_core.port}",
        AI_API_KEY=ai_core.new_key("chat"),
        CLAMAV_ADDRESS=scanner.address,
        EMAIL_CHECK_INTERVAL="5",
        TEMPERATURE="0",
    )
    environment["PATH"] = os.environ["PATH"]
    with (data_dir / "output").open("ab") as output:
        running = [
            subprocess.Popen(
                [sys.executable, "-m", "mail_service", role], cwd=ROOT, env=environment, stdout=output, stderr=output
            )
            for role in ("poller", "worker")
        ]
    yield running_mail_system
    for process in running:
        process.terminate()
    assert [process.wait(30) for process in running] == [0, 0]
    logged = (data_dir / "output").read_text()
    for secret in ("alice", "client.example", "démission", "ouvrier", "période d"):
        assert secret not in logged, "logs hold nothing that people wrote"


def answer_to(system: MailSystem, raw: bytes) -> EmailMessage:
    """Hand in `raw` and wait for what comes back."""
    before = len(system.mails(ALICE))
    began = time.monotonic()
    system.deliver(raw)
    while len(system.mails(ALICE)) == before:
        assert time.monotonic() - began < ANSWERED_WITHIN
        time.sleep(0.1)
    reply = read(system.mails(ALICE)[-1])
    assert reply["In-Reply-To"] == read(raw)["Message-ID"]
    return reply


def text_of(reply: EmailMessage) -> str:
    body = reply.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def with_file(text: str, name: str, kind: tuple[str, str], data: bytes, message_id: str) -> bytes:
    message = read(mail(text, subject="Question", message_id=message_id))
    message.add_attachment(data, maintype=kind[0], subtype=kind[1], filename=name)
    return message.as_bytes()


def test_a_question_is_answered_with_sources_and_a_reply_goes_on(service: MailSystem) -> None:
    first = answer_to(
        service, mail("Bonjour,\n\nQuel est le préavis en cas de démission ?\n\nAlice", subject="Démission")
    )
    assert "L1237-1" in text_of(first)
    assert "legifrance.gouv.fr" in text_of(first)
    assert first.get_body(("html",)) is not None
    assert first["Auto-Submitted"] == "auto-replied"
    assert first["Date"] is not None
    second = answer_to(
        service,
        mail(
            "Et quelle est la durée de la période d'essai d'un ouvrier ?",
            subject="Re: Démission",
            message_id="suite@client.example",
            In_Reply_To=first["Message-ID"],
            References=f"<question-1@client.example> {first['Message-ID']}",
        ),
    )
    assert "période d'essai" in text_of(second).replace("’", "'")
    assert "legifrance.gouv.fr" in text_of(second)
    assert second["References"].split() == [
        "<question-1@client.example>",
        first["Message-ID"],
        "<suite@client.example>",
    ]
    threads = [text_of(reply).split("conversation ")[1].split()[0] for reply in (first, second)]
    assert threads[0] == threads[1]


def test_a_pdf_and_a_photographed_letter_are_used(service: MailSystem) -> None:
    question = "Quelle est la durée de la période d'essai d'un ouvrier ?"
    scan = encoded(letter(question), "PDF")
    with_scan = with_file("Bonjour", "lettre.pdf", ("application", "pdf"), scan, "p@client.example")
    assert "essai" in text_of(answer_to(service, with_scan)).partition("Votre demande")[0]
    photo = with_file(
        "Bonjour",
        "IMG_0001.JPG",
        ("image", "jpeg"),
        photograph(letter("Quel est le préavis en cas de démission ?")),
        "j@client.example",
    )
    assert "L1237-1" in text_of(answer_to(service, photo))
