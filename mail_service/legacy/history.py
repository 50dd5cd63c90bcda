"""Mail of the earlier system as rows of ours: finished, so that no worker takes them."""

from __future__ import annotations

import secrets
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from mail_service.parsing import MAX_SUBJECT
from mail_service.people import People
from mail_service.policy import Verdict
from mail_service.states import State
from mail_service.storage import CutOver, Message
from mail_service.threads import remember_ids

SAME_MAIL_WITHIN = timedelta(days=1)
CLOCKS_DIFFER_BY = timedelta(minutes=10)
"""A mail that arrives after the cut-over must not count as older because the server's clock is behind ours."""


@dataclass(frozen=True, slots=True)
class OldMail:
    """One mail of the past. `answer` None: nobody knows it, or there was none. Places on the server where known."""

    identity: str
    sender: str
    subject: str
    received_at: datetime
    question: str | None = None
    answer: str | None = None
    message_id: str = ""
    references: tuple[str, ...] = ()
    thread: str | None = None
    answered: bool = False
    uid_validity: int | None = None
    uid: int | None = None


class History:
    """Remembers old mail, once each."""

    def __init__(self, people: People, *, apply: bool) -> None:
        self._people = people
        self._apply = apply
        self._told: set[str] = set()

    def at_once(self) -> AbstractContextManager[object]:
        """A block of which all is kept or nothing, with one wait for the disk."""
        return cast(AbstractContextManager[object], Message._meta.database.atomic())

    def remember(self, mail: OldMail) -> bool:
        """Keep `mail`; False when it is here already."""
        if mail.identity in self._told or Message.select().where(Message.identity == mail.identity).exists():
            return False
        self._told.add(mail.identity)
        if self._apply:
            self._store(mail)
        return True

    def knows_like(self, mail: OldMail) -> bool:
        """Whether a mail of this sender with this subject, of about the same time, is here: a log tells what the
        mailbox may have told already."""
        person = self._people.hashes_of(mail.sender)
        subject = self._people.subject_key(mail.sender, mail.subject)
        near = Message.received_at.between(mail.received_at - SAME_MAIL_WITHIN, mail.received_at + SAME_MAIL_WITHIN)
        found = Message.person.in_(person) & (Message.subject_key == subject) & near
        return bool(Message.select().where(found & (Message.identity != mail.identity)).exists())

    def _store(self, mail: OldMail) -> None:
        person = self._people.hash_of(mail.sender)
        thread = mail.thread or secrets.token_hex(8)
        done = mail.answered or mail.answer is not None
        with Message._meta.database.atomic():
            Message.create(
                identity=mail.identity,
                state=State.COMPLETED if done else State.REFUSED,
                reason=Verdict.BEFORE_CUT_OVER.value,
                person=person,
                subject_key=self._people.subject_key(mail.sender, mail.subject),
                thread=thread,
                uid_validity=mail.uid_validity,
                uid=mail.uid,
                filed=mail.uid is None,
                admitted=True,
                received_at=mail.received_at,
                due_at=None,
                done_at=mail.received_at,
                sender=mail.sender,
                subject=mail.subject[:MAX_SUBJECT],
                message_id=mail.message_id,
                question=mail.question,
                answer=mail.answer,
            )
            remember_ids(person, thread, mail.references)


def cut_over(now: datetime) -> datetime:
    """From `now` on the mailbox is ours; a second time changes nothing. Returns the moment that counts."""
    CutOver.insert(id=1, at=now - CLOCKS_DIFFER_BY).on_conflict_ignore().execute()
    found: datetime = CutOver.get_by_id(1).at
    return found
