"""What can become of a message, and how each outcome is written down: in one transaction, with its figures."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import peewee

from mail_service.attachments import ReadFile
from mail_service.counters import count
from mail_service.policy import Verdict
from mail_service.states import ReplyState, State, move
from mail_service.storage import AttachmentText, Message, Reply
from mail_service.threads import remember_ids

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Frozen:
    """A reply of one `kind`, answer or apology, ready for the wire."""

    kind: str
    message_id: str
    recipient: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """No answer, by policy."""

    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Held:
    """Not now; `until` None: not before an operator says so."""

    reason: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer, though the person should have one: they are told, once, where that is possible."""

    reason: str
    apology: Frozen | None


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, and what it was the answer to."""

    reply: Frozen
    question: str
    answer: str
    files: Sequence[ReadFile]
    message_ids: Sequence[str]  # of the mail and of the reply: later mails refer to them


Outcome = Refused | Held | Failed | Answered


def conclude(database: peewee.Database, message: Message, outcome: Outcome) -> State:
    """Write `outcome` down and return the state that `message` is in now. Raises ClaimLost, and then nothing is
    written."""
    with database.atomic():
        if isinstance(outcome, Refused):
            state, reason = State.REFUSED, outcome.verdict.value
            move(message, state, reason=reason)
        elif isinstance(outcome, Held):
            state, reason = State.HELD, outcome.reason
            # Waiting for something that is away is no failed try.
            move(message, state, reason=reason, due_at=outcome.until, attempts=message.attempts - 1)
        elif isinstance(outcome, Failed):
            state, reason = State.FAILED, outcome.reason
            move(message, state, reason=reason)
            if outcome.apology is not None:
                put_into_outbox(message, outcome.apology)
        else:
            state, reason = State.REPLYING, ""
            _keep_answer(message, outcome)
        count(state.value, reason)
    logger.info("mail concluded", extra={"mail": message.id, "state": state.value, "reason": reason})
    return state


def put_into_outbox(message: Message, frozen: Frozen) -> None:
    """Freeze a reply. One of its kind that is there already stays as it is: it may have been sent."""
    Reply.insert(
        message=message.id,
        kind=frozen.kind,
        our_id=frozen.message_id,
        recipient=frozen.recipient,
        raw=frozen.raw.decode("ascii"),
        state=ReplyState.READY,
    ).on_conflict_ignore().execute()


def _keep_answer(message: Message, answered: Answered) -> None:
    move(message, State.REPLYING, reason="", question=answered.question, answer=answered.answer)
    put_into_outbox(message, answered.reply)
    AttachmentText.delete().where(AttachmentText.message == message.id).execute()
    for position, file in enumerate(answered.files):
        AttachmentText.create(
            message=message.id, position=position, name=file.name, size=file.size, outcome=file.outcome, text=file.text
        )
    remember_ids(message.person, message.thread, answered.message_ids)
