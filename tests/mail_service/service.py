"""The mail service within the test's own process, over a real mail system; the AI core is scripted."""

from __future__ import annotations

import email
import email.policy
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path

from common.database import connection
from mail_service.answering import Answer, Ask
from mail_service.composition import Parts, compose
from mail_service.poll import Poller
from mail_service.rendering import Source
from mail_service.settings import Settings
from mail_service.storage import Message
from mail_service.work import MailWork
from tests.mail_system import ALICE, ASSISTANT, MailSystem

SOURCE = Source("L1237-1", "Article L1237-1", "https://www.legifrance.gouv.fr/x", "En cas de démission ...")


@dataclass
class ScriptedAnswerer:
    """Answers what `says` returns, and remembers what it was asked."""

    says: Callable[[Ask], str] = lambda _: "Le préavis est de **deux mois**."
    asked: list[Ask] = field(default_factory=list)

    def answer(self, ask: Ask) -> Answer:
        self.asked.append(ask)
        subject = f"Re: {ask.subject}" if ask.subject else "Re: votre question"
        return Answer(self.says(ask), subject, (SOURCE,), ())


@dataclass
class Service:
    """A whole service, driven step by step."""

    system: MailSystem
    settings: Settings
    parts: Parts
    answerer: ScriptedAnswerer
    poller: Poller
    work: MailWork

    def poll(self) -> None:
        """Look into the inbox once."""
        assert self.poller.poll()

    def work_off(self, most: int = 10_000) -> int:
        """Work until there is nothing to do; returns how many units were done."""
        done = 0
        while done < most and self.work.unit():
            done += 1
        return done

    def run(self) -> None:
        """Take in, answer and file everything that is there."""
        self.poll()
        self.work_off()
        self.poll()

    def messages(self) -> list[Message]:
        """All rows, oldest first."""
        with connection(self.parts.database):
            return list(Message.select().order_by(Message.id))

    def outcomes(self) -> dict[str, int]:
        """How many messages came to which end."""
        found: dict[str, int] = {}
        for message in self.messages():
            outcome = f"{message.state} {message.reason}".strip()
            found[outcome] = found.get(outcome, 0) + 1
        return found

    def close(self) -> None:
        self.poller.close()
        self.parts.database.close()


def build_service(
    system: MailSystem, data_dir: Path, answerer: ScriptedAnswerer | None = None, /, **variables: str
) -> Service:
    """A service over `system`; `variables` are settings in capitals."""
    settings = Settings.from_environment(system.settings(data_dir, **variables))
    answerer = answerer or ScriptedAnswerer()
    parts = compose(settings, answerer)
    return Service(system, settings, parts, answerer, parts.poller(), parts.work(settings))


def mail(
    text: str = "Quelle est la durée du préavis ?",
    *,
    sender: str = ALICE,
    subject: str = "Préavis",
    message_id: str = "question-1@client.example",
    **headers: str,
) -> bytes:
    """A plain question; `headers` with underscores for hyphens."""
    message = EmailMessage()
    fields: Mapping[str, str] = {
        "From": sender,
        "To": ASSISTANT,
        "Subject": subject,
        "Message-ID": f"<{message_id}>",
        "Date": "Tue, 03 Mar 2026 10:12:00 +0100",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    for name, value in fields.items():
        message[name] = value
    message.set_content(text)
    return message.as_bytes(policy=email.policy.SMTP)


def read(raw: bytes) -> EmailMessage:
    """A mail that came back."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def in_background(function: Callable[[], object]) -> threading.Thread:
    """Run `function` in a thread."""
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread
