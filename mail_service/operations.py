"""What an operator can do: look at messages, try them again, hold and release them; figures of the service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import peewee

from mail_service.counters import figures
from mail_service.mail_queue import MailQueue
from mail_service.states import ReplyState, State, by_operator
from mail_service.storage import AttachmentText, Message, Reply, utc_now
from mail_service.work import tell_queue

_PLAIN = (Message.id, Message.state, Message.reason, Message.urgent, Message.attempts, Message.thread,
          Message.received_at, Message.due_at, Message.done_at, Message.filed)  # fmt: skip

STUCK = [ReplyState.REFUSED.value, ReplyState.UNCERTAIN.value]


@dataclass(frozen=True, slots=True)
class Listed:
    """A message without anything personal."""

    id: int
    state: str
    reason: str
    urgent: bool
    attempts: int
    thread: str
    received_at: datetime
    due_at: datetime | None
    done_at: datetime | None
    filed: bool


class Operations:
    """Steps on single messages; each returns whether it was possible in the message's state."""

    def __init__(self, database: peewee.Database, queue: MailQueue) -> None:
        self._database = database
        self._queue = queue

    def listed(self, *, state: str | None, reason: str | None, before: int | None, limit: int) -> list[Listed]:
        """The newest messages first; `before` goes on below an id."""
        rows = Message.select(*_PLAIN).order_by(Message.id.desc()).limit(limit)
        for given, column in ((state, Message.state), (reason, Message.reason)):
            if given is not None:
                rows = rows.where(column == given)
        if before is not None:
            rows = rows.where(Message.id < before)
        return [_listed(row) for row in rows]

    def shown(self, message_id: int) -> Mapping[str, Any] | None:
        """Everything about one message, texts and address included; None when there is none."""
        row = Message.get_or_none(Message.id == message_id)
        if row is None:
            return None
        return {
            "message": _listed(row),
            "sender": row.sender,
            "subject": row.subject,
            "message_id": row.message_id,
            "question": row.question,
            "answer": row.answer,
            "attachments": [
                {"name": file.name, "size": file.size, "outcome": file.outcome, "text": file.text}
                for file in files_of(row)
            ],
            "replies": [
                {
                    "kind": reply.kind,
                    "state": reply.state,
                    "reason": reply.reason,
                    "attempts": reply.attempts,
                    "message_id": reply.our_id,
                    "sent_at": reply.sent_at,
                }
                for reply in replies_to(row)
            ],
        }

    def retry(self, message_id: int) -> bool:
        """Begin anew with a failed message, or one whose answer is stuck, which then makes room for a new one."""
        stuck = (Reply.message == message_id) & (Reply.kind == "answer") & Reply.state.in_(STUCK)
        row = Message.get_or_none(Message.id == message_id)
        if row is None or row.raw is None or not (row.state == State.FAILED or Reply.select().where(stuck).exists()):
            return False
        with self._database.atomic():
            anew = {"reason": "", "attempts": 0, "due_at": utc_now(), "done_at": None, "filed": False}
            moved = by_operator(message_id, (State.FAILED, State.REPLYING), State.PENDING, **anew)
            if moved:
                Reply.delete().where(stuck).execute()
        return self._told(message_id, moved)

    def hold(self, message_id: int) -> bool:
        """Keep a waiting message until it is released."""
        held = by_operator(message_id, (State.PENDING, State.HELD), State.HELD, reason="operator", due_at=None)
        return self._told(message_id, held)

    def release(self, message_id: int) -> bool:
        """Let a held message go on now, whatever held it."""
        released = by_operator(message_id, (State.HELD,), State.PENDING, reason="", due_at=utc_now(), admitted=True)
        return self._told(message_id, released)

    def statistics(self) -> Mapping[str, Any]:
        """Figures since the beginning, and what is there now."""
        counts: Any = Message.select(Message.state, peewee.fn.COUNT(Message.id)).group_by(Message.state).tuples()
        answered, failed = figures("completed").get("", 0.0), sum(figures("failed").values())
        hour_ago = utc_now() - timedelta(hours=1)
        return {
            "received": figures("received").get("", 0.0),
            "answered": answered,
            "failed": dict(figures("failed")),
            "refused": dict(figures("refused")),
            "held": dict(figures("held")),
            "success_rate": answered / (answered + failed) if answered + failed else None,
            "average_seconds": figures("answer_seconds_sum").get("", 0.0) / answered if answered else None,
            "answered_last_hour": Message.select()
            .where((Message.state == State.COMPLETED) & (Message.done_at > hour_ago))
            .count(),
            "messages": dict(counts),
            "replies_waiting": Reply.select()
            .where(Reply.state.in_([ReplyState.READY.value, ReplyState.SENDING.value]))
            .count(),
            "queue": self._queue.lengths(),
        }

    def _told(self, message_id: int, moved: bool) -> bool:
        if moved:
            tell_queue(self._queue, Message.get_by_id(message_id))
        return moved


def files_of(message: Message) -> list[AttachmentText]:
    """The files of a message, in order."""
    return list(AttachmentText.select().where(AttachmentText.message == message.id).order_by(AttachmentText.position))


def replies_to(message: Message) -> list[Reply]:
    """What was written in answer to a message."""
    return list(Reply.select().where(Reply.message == message.id).order_by(Reply.id))


def _listed(row: Message) -> Listed:
    return Listed(
        row.id,
        row.state,
        row.reason,
        row.urgent,
        row.attempts,
        row.thread,
        row.received_at,
        row.due_at,
        row.done_at,
        row.filed,
    )
