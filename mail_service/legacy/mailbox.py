"""The earlier mailbox, on the server or as a Maildir or mbox: what came in, and what was sent in answer."""

from __future__ import annotations

import mailbox
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from imapclient import IMAPClient  # type: ignore[import-untyped]

from common.legacy.report import ImportReport
from mail_service.addresses import same_mailbox
from mail_service.header_text import header_value
from mail_service.imap_server import sent_folder
from mail_service.legacy.history import History, OldMail
from mail_service.parsing import IncomingMail, Unparsable, parse_mail
from mail_service.people import identity_of
from mail_service.quoting import own_text
from mail_service.storage import utc_now

KIND = "mails"
BATCH = 50
MAX_TEXT = 20_000  # characters of a question or an answer
MAX_ANSWERS = 200_000


@dataclass(frozen=True, slots=True)
class StoredMail:
    """A mail as a mailbox holds it. `place` names it for the operator. `arrived_at` in UTC without a zone."""

    place: str
    raw: bytes
    arrived_at: datetime | None = None
    uid_validity: int | None = None
    uid: int | None = None


@dataclass(slots=True)
class _Answers:
    """What we sent, by the Message-ID that it answers."""

    texts: dict[str, str] = field(default_factory=dict)

    def note(self, mail: IncomingMail) -> None:
        if mail.in_reply_to and len(self.texts) < MAX_ANSWERS:
            self.texts[mail.in_reply_to[-1]] = own_text(mail.text, is_reply=True)[:MAX_TEXT]


def import_mails(mails: Iterable[StoredMail], own: Iterable[str], history: History, report: ImportReport) -> None:
    """Remember every mail that others wrote, with the answer that `mails` hold of it. `own` are our addresses."""
    answers, questions, ours = _Answers(), [], tuple(own)
    for stored in mails:
        try:
            mail = parse_mail(stored.raw)
        except Unparsable as error:
            report.reject(KIND, stored.place, 1, str(error))
            continue
        if any(same_mailbox(sender.address, address) for sender in mail.senders for address in ours):
            answers.note(mail)
            report.count(KIND, "sent by us")
        else:
            questions.append(_old_mail(stored, mail))
    with history.at_once():
        for question in sorted(questions, key=lambda each: each.received_at):
            answer = answers.texts.get(question.message_id)
            taken = history.remember(_with_answer(question, answer))
            report.count(KIND, "taken" if taken else "here already")


def in_folder(path: Path) -> Iterator[StoredMail]:
    """The mails of a Maildir, its subfolders included, or of an mbox file. Raises OSError, mailbox.Error."""
    if path.is_dir():
        box: mailbox.Mailbox[Any] = mailbox.Maildir(path, create=False)
        for name in (None, *box.list_folders()):  # type: ignore[attr-defined]
            folder = box if name is None else box.get_folder(name)  # type: ignore[attr-defined]
            yield from _mails_of(folder, name or path.name)
    else:
        with path.open("rb"):  # mailbox.mbox would make a file that is missing
            yield from _mails_of(mailbox.mbox(path, create=False), path.name)


def on_server(client: IMAPClient, inbox: str) -> Iterator[StoredMail]:
    """The mails of the inbox and of the folder for sent mail. Raises imapclient's errors."""
    for folder in filter(None, (sent_folder(client), inbox)):
        validity = int(client.select_folder(folder, readonly=True)[b"UIDVALIDITY"])
        uids = client.search(["ALL"])
        for at in range(0, len(uids), BATCH):
            some = uids[at : at + BATCH]
            for uid, facts in client.fetch(some, ["BODY.PEEK[]", "INTERNALDATE"]).items():
                arrived = facts[b"INTERNALDATE"].astimezone(timezone.utc).replace(tzinfo=None)
                place = (validity, uid) if folder == inbox else (None, None)
                yield StoredMail(f"{folder}/{uid}", facts[b"BODY[]"], arrived, *place)


def _mails_of(folder: mailbox.Mailbox[Any], name: str) -> Iterator[StoredMail]:
    for key in folder.keys():  # noqa: SIM118 - it is no mapping
        try:
            yield StoredMail(f"{name}/{key}", folder.get_bytes(key))
        except KeyError:
            continue  # somebody moved it meanwhile


def _old_mail(stored: StoredMail, mail: IncomingMail) -> OldMail:
    sender = mail.sender.address if mail.sender else ""
    question = own_text(mail.text, is_reply=bool(mail.in_reply_to or mail.references), is_forward=mail.is_forward)
    return OldMail(
        identity=identity_of(mail.message_id, sender, stored.raw),
        sender=sender,
        subject=mail.subject,
        received_at=stored.arrived_at or _date(mail) or utc_now(),
        question=question[:MAX_TEXT] or None,
        message_id=mail.message_id or "",
        references=tuple(filter(None, (mail.message_id, *mail.in_reply_to, *mail.references))),
        uid_validity=stored.uid_validity,
        uid=stored.uid,
    )


def _with_answer(mail: OldMail, answer: str | None) -> OldMail:
    return mail if answer is None else replace(mail, answer=answer or None, answered=True)


def _date(mail: IncomingMail) -> datetime | None:
    try:
        found = parsedate_to_datetime(header_value(mail.message, "Date"))
        return found.astimezone(timezone.utc).replace(tzinfo=None)
    except (ValueError, TypeError, OverflowError):
        return None
