"""Which conversation a mail belongs to, and what was said in it before.

By our own Message-IDs, which nobody can guess; then References; then the same subject of the same sender. Only ever
within the mails of one person: a forwarded Message-ID must not open somebody else's conversation.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from mail_service.parsing import IncomingMail
from mail_service.states import State
from mail_service.storage import Message, Reply, ThreadReference, utc_now

SAME_SUBJECT_WITHIN = timedelta(days=30)
MAX_TURNS = 10  # of each side
MAX_TURN_LENGTH = 4_000  # characters


def thread_of(mail: IncomingMail, person: Sequence[str], subject_key: str) -> str:
    """The thread that `mail` continues, or a new one. `person` are the hashes of its sender."""
    answered = [*reversed(mail.in_reply_to), *reversed(mail.references)]
    return (
        _by_our_ids(answered, person)
        or _by_references(answered, person)
        or _by_subject(person, subject_key, is_reply=bool(answered))
        or secrets.token_hex(8)
    )


def remember_ids(person: str, thread: str, ids: Iterable[str]) -> None:
    """Later mails of this person that refer to one of `ids` belong to `thread`."""
    for message_id in ids:
        ThreadReference.insert(person=person, digest=_digest(message_id), thread=thread).on_conflict_ignore().execute()


def earlier_turns(message: Message) -> list[Mapping[str, str]]:
    """What was asked and answered in the thread of `message` before, oldest first, as the AI core takes it."""
    rows = (
        Message.select()
        .where(
            (Message.thread == message.thread)
            & (Message.person == message.person)
            & (Message.id < message.id)
            & (Message.state == State.COMPLETED)
        )
        .order_by(Message.id.desc())
        .limit(MAX_TURNS)
    )
    turns: list[Mapping[str, str]] = []
    for row in reversed(list(rows)):
        if row.question and row.answer:
            turns.append({"role": "user", "content": row.question[:MAX_TURN_LENGTH]})
            turns.append({"role": "assistant", "content": row.answer[:MAX_TURN_LENGTH]})
    return turns


def _by_our_ids(ids: Sequence[str], person: Sequence[str]) -> str | None:
    if not ids:
        return None
    row = (
        Message.select(Message.thread)
        .join(Reply)
        .where(Reply.our_id.in_(list(ids)) & Message.person.in_(list(person)))
        .order_by(Message.id.desc())
        .first()
    )
    return row.thread if row else None


def _by_references(ids: Sequence[str], person: Sequence[str]) -> str | None:
    if not ids:
        return None
    digests = [_digest(message_id) for message_id in ids]
    known = ThreadReference.digest.in_(digests) & ThreadReference.person.in_(list(person))
    row = ThreadReference.select().where(known).order_by(ThreadReference.id.desc()).first()
    return row.thread if row else None


def _by_subject(person: Sequence[str], subject_key: str, *, is_reply: bool) -> str | None:
    # A new mail with an old subject is a new question: "Une question" is what half of them are called.
    if not is_reply:
        return None
    recent = Message.received_at > utc_now() - SAME_SUBJECT_WITHIN
    same = Message.person.in_(list(person)) & (Message.subject_key == subject_key) & recent
    row = Message.select(Message.thread).where(same).order_by(Message.id.desc()).first()
    return row.thread if row else None


def _digest(message_id: str) -> str:
    return hashlib.sha256(message_id.encode("utf-8", "surrogatepass")).hexdigest()
