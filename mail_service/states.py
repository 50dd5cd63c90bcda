"""The life of a message and of a reply. Every step is a conditional update: of two processes that try, one does it.

A message:  pending -> processing -> replying -> completed
            processing -> pending (a try failed), held (until due_at, or until an operator releases it), refused, failed
A reply:    ready -> sending -> sent | refused;  sending -> ready when the server's Sent folder proves it was not taken

Assume every job runs twice: a worker that was suspended for longer than its lease finds its claim gone, and its steps
change nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from mail_service.storage import Message, Reply, utc_now


class State(str, Enum):
    """Of a message."""

    PENDING = "pending"
    PROCESSING = "processing"
    HELD = "held"
    REPLYING = "replying"
    COMPLETED = "completed"
    REFUSED = "refused"
    FAILED = "failed"


class ReplyState(str, Enum):
    """Of a reply."""

    READY = "ready"
    SENDING = "sending"
    SENT = "sent"
    REFUSED = "refused"  # by the recipient's server, for good
    UNCERTAIN = "uncertain"  # perhaps taken, and no Sent folder to prove it: an operator decides


LONGEST_LEASE = timedelta(seconds=600)  # LEASE_SECONDS at most; one that ends later was given by a clock set back since
FINAL = (State.COMPLETED, State.REFUSED, State.FAILED)
WAITING = (State.PENDING, State.HELD)


class ClaimLost(Exception):
    """Somebody else has the message by now, or it was erased: leave it alone."""


def due_messages(limit: int, now: datetime | None = None) -> list[int]:
    """Ids of messages that a worker may take, urgent ones first."""
    rows = (
        Message.select(Message.id)
        .where(_is_due(now or utc_now()))
        .order_by(Message.urgent.desc(), Message.due_at, Message.id)
        .limit(limit)
    )
    return [row.id for row in rows]


def claim_message(message_id: int, lease: timedelta) -> Message | None:
    """Take a message that is due; None when somebody was faster."""
    now, claim = utc_now(), secrets.token_hex(8)
    taken = (
        Message.update(
            state=State.PROCESSING, claim=claim, lease_until=now + lease, attempts=Message.attempts + 1, reason=""
        )
        .where((Message.id == message_id) & _is_due(now))
        .execute()
    )
    return Message.get_or_none((Message.id == message_id) & (Message.claim == claim)) if taken else None


def move(message: Message, to: State, **values: Any) -> None:
    """End the claim on `message`, which is being processed, with its next state. Raises ClaimLost."""
    if to in FINAL:
        values = {"done_at": utc_now(), **values}
    if to is State.REFUSED:
        values["raw"] = None  # a failed one may be tried again
    changed = (
        Message.update(state=to, claim=None, lease_until=None, **values)
        .where((Message.id == message.id) & (Message.state == State.PROCESSING) & (Message.claim == message.claim))
        .execute()
    )
    if not changed:
        raise ClaimLost


def note(message: Message, **values: Any) -> None:
    """Keep what was found out about a message that is being processed. Raises ClaimLost."""
    changed = (
        Message.update(**values)
        .where((Message.id == message.id) & (Message.state == State.PROCESSING) & (Message.claim == message.claim))
        .execute()
    )
    if not changed:
        raise ClaimLost


def renew(message: Message, lease: timedelta) -> bool:
    """Keep a claim for longer; False when it is lost."""
    mine = (Message.id == message.id) & (Message.state == State.PROCESSING) & (Message.claim == message.claim)
    return bool(Message.update(lease_until=utc_now() + lease).where(mine).execute())


def by_operator(message_id: int, frm: Sequence[State], to: State, **values: Any) -> bool:
    """A step that an operator asks for; False when the message is in none of the states `frm`."""
    return bool(
        Message.update(state=to, claim=None, lease_until=None, **values)
        .where((Message.id == message_id) & Message.state.in_(list(frm)))
        .execute()
    )


def due_replies(limit: int) -> list[int]:
    """Ids of replies to send."""
    rows = (
        Reply.select(Reply.id)
        .where((Reply.state == ReplyState.READY) & _may_go(utc_now()))
        .order_by(Reply.due_at, Reply.id)
        .limit(limit)
    )
    return [row.id for row in rows]


def doubtful_replies(before: datetime) -> list[int]:
    """Ids of replies whose worker went away while it sent them, its lease over since `before`."""
    rows = Reply.select(Reply.id).where((Reply.state == ReplyState.SENDING) & (Reply.lease_until < before))
    return [row.id for row in rows.order_by(Reply.id)]


def claim_reply(reply_id: int, frm: ReplyState, lease: timedelta) -> Reply | None:
    """Take a reply in the state `frm`, ready or sending, to send it or to find out whether it was sent."""
    now, claim = utc_now(), secrets.token_hex(8)
    free = _may_go(now) if frm is ReplyState.READY else Reply.lease_until < now
    taken = (
        Reply.update(state=ReplyState.SENDING, claim=claim, lease_until=now + lease, attempts=Reply.attempts + 1)
        .where((Reply.id == reply_id) & (Reply.state == frm) & free)
        .execute()
    )
    return Reply.get_or_none((Reply.id == reply_id) & (Reply.claim == claim)) if taken else None


def move_reply(reply: Reply, to: ReplyState, **values: Any) -> None:
    """End the claim on a reply that is being sent. Raises ClaimLost."""
    changed = (
        Reply.update(state=to, claim=None, **values)
        .where((Reply.id == reply.id) & (Reply.state == ReplyState.SENDING) & (Reply.claim == reply.claim))
        .execute()
    )
    if not changed:
        raise ClaimLost


def _may_go(now: datetime) -> Any:
    return (Reply.due_at <= now) | (Reply.attempts == 0)


def _is_due(now: datetime) -> Any:
    new = (Message.state == State.PENDING) & (Message.attempts == 0)
    waiting = Message.state.in_(list(WAITING)) & (Message.due_at <= now)  # never true where due_at is null
    is_over = (Message.lease_until < now) | (Message.lease_until > now + LONGEST_LEASE)
    return new | waiting | ((Message.state == State.PROCESSING) & is_over)
