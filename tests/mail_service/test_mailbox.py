"""The mailbox's own ways: news by IDLE, folders renumbered, copies that nobody else files, mail that is too old."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import urllib.request
from datetime import datetime, timezone
from pathlib import Path

import pytest

from common.process import Progress
from mail_service.imap_server import MailAway
from mail_service.process import run_poller
from mail_service.smtp_client import SendFailed
from mail_service.states import ReplyState
from mail_service.storage import Reply
from tests.end_to_end.server import free_port
from tests.mail_service.service import Service, build_service, in_background, mail
from tests.mail_service.smtp_server import refusing_server
from tests.mail_system import ALICE, MailSystem
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]


def test_mail_that_comes_wakes_the_poller_long_before_the_clock(mail_system: MailSystem, tmp_path: Path) -> None:
    service = build_service(mail_system, tmp_path, None, EMAIL_CHECK_INTERVAL="3600")
    stopping, poller = threading.Event(), service.poller
    scheduler = service.parts.scheduler(service.settings, poller)
    idle = service.parts.idle_watch(service.settings, poller)
    thread = in_background(lambda: run_poller(poller, idle, scheduler, stopping, Progress()))
    mail_system.deliver(mail())
    until(lambda: len(service.messages()) == 1)
    mail_system.deliver(mail(message_id="2@client.example"))
    until(lambda: len(service.messages()) == 2)
    stopping.set()
    thread.join(20)
    assert not thread.is_alive()
    service.close()


def renumber(system: MailSystem) -> None:
    """What a restored or rebuilt mailbox looks like: other uids, another UIDVALIDITY."""
    system.stop_imap()
    for file in (system.home / "mail" / "cdt.example" / "assistant" / "Maildir").glob("dovecot*"):
        file.unlink()
    system.start_imap()


def test_a_renumbered_folder_brings_no_second_answers(service: Service, mail_system: MailSystem) -> None:
    mail_system.put(mail())
    mail_system.put(mail(message_id="2@client.example"))
    service.poll()
    service.work_off(1)
    service.poller.close()
    renumber(mail_system)
    service.run()
    assert service.outcomes() == {"completed": 2}
    assert len(service.answerer.asked) == 2
    service.poll()
    assert mail_system.mails() == []
    assert len(mail_system.mails(folder="Processed")) == 2


def test_a_mail_that_somebody_moves_back_is_filed_again(service: Service, mail_system: MailSystem) -> None:
    mail_system.put(mail())
    service.run()
    client = mail_system.session()
    client.select_folder("Processed")
    client.move(client.search(["ALL"]), "INBOX")
    service.run()
    assert service.outcomes() == {"completed": 1}
    assert mail_system.mails() == []


def test_mail_that_waited_for_too_long_is_not_answered(mail_system: MailSystem, tmp_path: Path) -> None:
    service = build_service(mail_system, tmp_path, None, MAX_MESSAGE_AGE_DAYS="7")
    mail_system.session().append("INBOX", mail(), msg_time=datetime(2020, 1, 1, tzinfo=timezone.utc))
    mail_system.put(mail(message_id="new@client.example"))
    service.run()
    assert service.outcomes() == {"refused too_old": 1, "completed": 1}
    service.close()


def test_what_is_too_large_is_not_even_fetched(mail_system: MailSystem, tmp_path: Path) -> None:
    service = build_service(mail_system, tmp_path, None, MAX_MESSAGE_SIZE="10000")
    mail_system.put(mail("Bonjour. " * 2_000))
    service.run()
    assert service.outcomes() == {"failed too_large": 1}
    assert len(mail_system.mails(folder="Failed")) == 1
    service.close()


def test_urgent_mail_comes_first(service: Service, mail_system: MailSystem) -> None:
    for number in range(3):
        mail_system.put(mail(f"Question {number}", message_id=f"{number}@client.example"))
    mail_system.put(mail("Vite !", message_id="urgent@client.example", X_Priority="1 (Highest)"))
    service.poll()
    service.work_off(1)
    assert [ask.question for ask in service.answerer.asked] == ["Vite !"]


def test_where_the_server_files_no_copies_we_do(mail_system: MailSystem, tmp_path: Path) -> None:
    with refusing_server(mail_system.home) as (port, handler):  # it refuses nothing, and files nothing
        service = build_service(mail_system, tmp_path, None, SENT_COPY="append", SMTP_PORT=str(port))
        mail_system.put(mail())
        service.run()
        service.poll()
        assert len(handler.taken) == 1
    [copy] = mail_system.mails(folder="Sent")
    assert copy == handler.taken[0]
    service.close()


def test_without_that_proof_a_doubtful_reply_waits_for_an_operator(mail_system: MailSystem, tmp_path: Path) -> None:
    service = build_service(mail_system, tmp_path, None, SENT_COPY="append")

    class CutLine:
        def send(self, sender: str, recipient: str, raw: bytes) -> None:
            raise SendFailed("SMTPServerDisconnected", taken_perhaps=True)

    working = service.parts.outbox._smtp
    service.parts.outbox._smtp = CutLine()
    mail_system.put(mail())
    service.run()
    assert service.outcomes() == {"replying": 1}
    with service.parts.database:
        assert Reply.get().state == ReplyState.UNCERTAIN
        service.parts.outbox._smtp = working
        assert service.parts.operations().retry(1)
    service.work_off()
    assert service.outcomes() == {"completed": 1}
    until(lambda: len(mail_system.mails(ALICE)) == 1)
    service.close()


def test_the_web_process_answers(mail_system: MailSystem, tmp_path: Path) -> None:
    port = free_port()
    environment = mail_system.settings(tmp_path, PORT=str(port), PATH=os.environ["PATH"])
    running = subprocess.Popen([sys.executable, "-m", "mail_service", "serve"], cwd=ROOT, env=environment)
    try:

        def alive() -> bool:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as response:
                    return bool(response.status == 200)
            except OSError:
                return False

        until(alive)
    finally:
        running.terminate()
        assert running.wait(40) == 0


def test_a_wrong_password_is_named(mail_system: MailSystem, tmp_path: Path) -> None:
    service = build_service(mail_system, tmp_path, None, EMAIL_PASSWORD="falsch", SMTP_PASSWORD="falsch")
    with pytest.raises(MailAway) as away:
        service.parts.imap.connect()
    assert away.value.reason == "login_refused"
    with pytest.raises(SendFailed) as failed:
        service.parts.smtp.check()
    assert (failed.value.reason, failed.value.about_us) == ("smtp_535", True)
    service.close()
