"""`mail-service import`: the earlier mailbox, logs and exports are remembered, and nothing old is ever answered."""

from __future__ import annotations

import json
import mailbox
import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from email.message import EmailMessage
from pathlib import Path

import pytest

from common.database import connection
from mail_service.cli import main
from mail_service.storage import Message
from tests.mail_service.service import Service, build_service, mail, read
from tests.mail_system import ALICE, ASSISTANT, BOB, MailSystem

ROWS = int(os.environ.get("IMPORT_ROWS", "1997"))  # of an export


@pytest.fixture(autouse=True)
def start(mail_system: MailSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Service]]:
    """Starts the service, after the imports: a process has one of them at a time."""
    templates = tmp_path / "templates"
    templates.mkdir()
    for name, value in mail_system.settings(tmp_path, TEMPLATES_DIR=str(templates)).items():
        monkeypatch.setenv(name, value)
    started: list[Service] = []

    def start() -> Service:
        started.append(build_service(mail_system, tmp_path))
        return started[-1]

    yield start
    for service in started:
        service.close()


def run(capsys: pytest.CaptureFixture[str], *arguments: Path | str) -> tuple[int, str]:
    status = main(["import", *map(str, arguments)])
    told = capsys.readouterr()
    return status, told.out + told.err


def answer_to(message_id: str, text: str) -> bytes:
    """What the earlier system sent."""
    return mail(text, sender=ASSISTANT, message_id=f"re-{message_id}", In_Reply_To=f"<{message_id}>", To=ALICE)


def test_after_the_cut_over_only_new_mail_is_answered(
    start: Callable[[], Service], mail_system: MailSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    mail_system.put(mail("Déjà répondu.", message_id="old-1@client.example"))
    mail_system.put(mail("Jamais lu.", message_id="old-2@client.example", sender=BOB))
    session = mail_system.session()
    session.select_folder("INBOX")
    session.add_flags([1], [b"\\Seen"])
    mail_system.put(answer_to("old-1@client.example", "Un mois de préavis."), folder="Sent")
    status, told = run(capsys, "--imap")
    assert (status, start().messages()) == (0, [])
    assert "Nothing was changed" in told
    assert run(capsys, "--imap", "--apply")[0] == 0
    # Somebody finds an old one elsewhere and moves it back; another one comes without ever having been seen.
    session.append("INBOX", mail(message_id="other@client.example"), msg_time=_ago(hours=2))
    mail_system.put(mail("Une vraie question.", message_id="new@client.example"))
    service = start()
    service.run()
    service.run()
    assert [ask.question for ask in service.answerer.asked] == ["Une vraie question."]
    assert service.outcomes() == {
        "completed before_cut_over": 1,
        "refused before_cut_over": 2,
        "completed": 1,
    }
    assert len(mail_system.mails(ALICE)) == 1
    assert mail_system.mails(BOB) == []
    assert mail_system.mails() == [], "what is done with is filed"


def _ago(**since: int) -> datetime:
    return datetime.now(timezone.utc) - timedelta(**since)


def test_a_reply_to_the_earlier_system_goes_on_where_it_was(
    start: Callable[[], Service], mail_system: MailSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    mail_system.put(mail("Quel préavis ?", message_id="old-1@client.example"))
    mail_system.put(answer_to("old-1@client.example", "Un mois de préavis."), folder="Sent")
    run(capsys, "--imap", "--apply")
    mail_system.put(mail("Et pour un cadre ?", message_id="new@client.example", In_Reply_To="<old-1@client.example>"))
    service = start()
    service.run()
    (ask,) = service.answerer.asked
    assert [turn["content"] for turn in ask.earlier] == ["Quel préavis ?", "Un mois de préavis."]
    (reply,) = map(read, mail_system.mails(ALICE))
    assert reply["In-Reply-To"] == "<new@client.example>"


@pytest.mark.parametrize("form", ["maildir", "mbox"])
def test_a_mailbox_on_disk_is_taken_once(
    start: Callable[[], Service], tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    path = tmp_path / form
    box: mailbox.Mailbox[EmailMessage] = (  # type: ignore[type-var]
        mailbox.Maildir(path) if form == "maildir" else mailbox.mbox(path)  # type: ignore[assignment]
    )
    for number in range(20):
        box.add(mail(f"Question {number}", message_id=f"{number}@client.example"))
    box.add(b"Subject: sans en-t\xeates\n\n")
    box.add(answer_to("3@client.example", "Réponse 3"))
    box.close()
    for outcome in ("taken", "here already"):
        status, told = run(capsys, "--mailbox", path, "--apply")
        assert (status, f"22: {'1 sent by us, 21 taken' if outcome == 'taken' else '21 here already'}" in told) == (
            0,
            True,
        )
    third = next(row for row in start().messages() if row.question == "Question 3")
    assert (third.answer, third.state) == ("Réponse 3", "completed")
    assert third.received_at == datetime(2026, 3, 3, 9, 12)


BOT = "mailserver_email_bot - INFO"
ANSWERED = "Successfully processed and responded to email from"
LOG = f"""\
2025-03-01 09:15:02,250 - {BOT} - Processing email from Alice <alice@client.example>: Préavis
2025-03-01 09:15:40,001 - {BOT} - {ANSWERED} alice@client.example
2025-03-01 10:00:00,000 - __main__ - INFO - Processing email from bob@client.example: b'Cong\\xc3\\xa9s'
2025-03-01 10:00:01,000 - __main__ - ERROR - Traceback (most recent call last):
  File "bot.py", line 1
2025-03-01 10:01:00,000 - telegram_bot - INFO - Received message from Unknown (7): ...
2025-03-01 10:02:00,000 - {BOT} - Processing email from undisclosed: rien
2025-03-01 10:03:00,000 - __main__ - INFO - {ANSWERED} carol@client.example
"""


def test_logs_tell_who_wrote_when_and_whether_there_was_an_answer(
    start: Callable[[], Service], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "mailserver_email_bot.log"
    log.write_text(LOG)
    for outcome in ("taken", "here already"):
        status, told = run(capsys, "--logs", log, "--apply")
        assert status == 1
        assert f"2 {outcome}" in told
        assert "2 rejected" in told
        assert "1 of others" in told
    first, second = start().messages()
    assert (first.subject, first.state, first.question, first.answer) == ("Préavis", "completed", None, None)
    assert first.received_at == datetime(2025, 3, 1, 8, 15, 2, 250_000), "the log was written in Paris"
    assert (second.subject, second.state) == ("Congés", "refused")
    rejects = [json.loads(line) for file in tmp_path.glob("import-rejects-*") for line in file.open()]
    assert {each["line"] for each in rejects} == {7, 8}


def test_what_the_mailbox_told_is_not_taken_from_the_log_again(
    start: Callable[[], Service], mail_system: MailSystem, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mail_system.session().append(
        "INBOX", mail(subject="Préavis"), msg_time=datetime(2025, 3, 1, 8, 14, tzinfo=timezone.utc)
    )
    log = tmp_path / "bot.log"
    log.write_text("\n".join(LOG.splitlines()[:2]))
    _, told = run(capsys, "--imap", "--logs", log, "--apply")
    assert "1 here already, 1 told of an answer" in told
    assert len(start().messages()) == 1


def test_many_conversations_broken_ones_included(
    start: Callable[[], Service], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[dict[str, str]] = [
        {
            "email": f"person-{number % 100}@client.example",
            "subject": "Congés",
            "question": f"Question {number}",
            "answer": f"Réponse {number}" if number % 3 else "",
            "created_at": "2025-03-01T12:00:00Z",
            "thread_id": str(number % 500),
        }
        for number in range(ROWS)
    ]
    rows[10] = {**rows[10], "email": "nobody"}
    rows[20] = {**rows[20], "created_at": "yesterday"}
    rows[30] = {**rows[30], "question": ""}
    rows.append({"channel": "telegram", "question": "?"})
    path = tmp_path / "conversations.json"
    path.write_text(json.dumps({"conversations": rows}))
    for outcome in (f"{ROWS - 3} taken", f"{ROWS - 3} here already"):
        status, told = run(capsys, "--conversations", path, "--apply")
        assert (status, outcome in told, "3 rejected" in told, "1 of others" in told) == (1, True, True, True)
    reasons = {json.loads(line)["reason"] for file in tmp_path.glob("import-rejects-*") for line in file.open()}
    assert reasons == {
        "email is no mail address",
        "created_at is no moment such as 2025-03-01T12:00:00Z",
        "question is missing",
    }
    service = start()
    with connection(service.parts.database):
        assert Message.select().count() == ROWS - 3
        assert Message.get(Message.state == "refused").answer is None, "a missing answer stays missing"
    service.run()
    assert service.answerer.asked == []


def test_templates_that_render_are_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = "{{ ai_response }}\n{{ disclaimer }}\n"
    rows = [
        {"name": "reply.txt", "content": good},
        {"name": "apology.txt", "content": "{{ nothing }}"},
        {"name": "../../etc/passwd", "content": good},
    ]
    path = tmp_path / "templates.json"
    path.write_text(json.dumps(rows))
    status, told = run(capsys, "--templates", path, "--apply")
    assert (status, "1 taken" in told, "2 rejected" in told) == (1, True, True)
    assert [file.name for file in (tmp_path / "templates").iterdir()] == ["reply.txt"]


def test_settings_are_mapped_and_never_shown(
    start: Callable[[], Service], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env = tmp_path / ".env"
    env.write_text(
        "PROTONMAIL_PASSWORD=pass word with spaces\nIMAP_SERVER=mail.example.org # the server\nSMTP_SERVER=smtp\n"
        "EMAIL_TEMPERATURE=0.3\nTELEGRAM_BOT_TOKEN=123456789:secret\n"
    )
    _, told = run(capsys, "--env", env, "--to", tmp_path / "etc", "--apply")
    assert "pass word" not in told
    assert "TELEGRAM_BOT_TOKEN           for telegram_service" in told
    written = (tmp_path / "etc" / "mail_service.env").read_text()
    assert written == "IMAP_HOST=mail.example.org\nSMTP_HOST=smtp\nTEMPERATURE=0.3\n"
    secret = tmp_path / "etc" / "credentials" / "mail_service" / "EMAIL_PASSWORD"
    assert secret.read_text() == "pass word with spaces"


def test_a_mailbox_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    status, told = run(capsys, "--mailbox", "/nowhere/Maildir")
    assert (status, "/nowhere/Maildir" in told) == (1, True)
