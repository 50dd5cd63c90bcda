"""Sends frozen replies, each exactly once: what a killed worker may have sent is looked for in the server's Sent
folder before it is sent again. The server files that copy with the reply itself (Postfix: sender_bcc_maps)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

import peewee

from mail_service.counters import count, count_duration
from mail_service.imap_server import MailAway
from mail_service.outcomes import Failed, put_into_outbox
from mail_service.smtp_client import SendFailed
from mail_service.states import (
    FINAL,
    ClaimLost,
    ReplyState,
    State,
    claim_reply,
    doubtful_replies,
    due_replies,
    move_reply,
)
from mail_service.storage import Message, Reply, utc_now

logger = logging.getLogger(__name__)

BATCH = 20
LONGEST_WAIT = timedelta(minutes=15)
SEND_REFUSED = "smtp_refused"


class Smtp(Protocol):
    """The submission server."""

    def send(self, sender: str, recipient: str, raw: bytes) -> None:
        """Raises SendFailed."""


class Sent(Protocol):
    """The server's Sent folder."""

    def holds(self, message_id: str) -> bool:
        """Raises MailAway."""

    def file_copy(self, message_id: str, raw: bytes) -> None:
        """Raises MailAway."""


class Outbox:
    """`server_files_copies` False: the server keeps no copy, so we append one, and a doubtful reply waits for an
    operator. `check_after` leaves the server time to file its copy. `apologise` writes when one is refused."""

    def __init__(
        self,
        database: peewee.Database,
        smtp: Smtp,
        sent: Sent,
        *,
        sender: str,
        lease: timedelta,
        check_after: timedelta,
        retry: timedelta,
        give_up: timedelta,
        server_files_copies: bool,
        apologise: Callable[[Message, str], Failed],
        on_moved: Callable[[Message], None],
    ) -> None:
        self._database = database
        self._smtp = smtp
        self._sent = sent
        self._sender = sender
        self._lease = lease
        self._check_after = check_after
        self._retry = retry
        self._give_up = give_up
        self._server_files_copies = server_files_copies
        self._apologise = apologise
        self._on_moved = on_moved

    def work(self) -> int:
        """Send what is due and settle what is doubtful; returns how many replies were sent."""
        done = sum(self._settle(reply_id) for reply_id in doubtful_replies(utc_now() - self._check_after))
        for reply_id in due_replies(BATCH):
            reply = claim_reply(reply_id, ReplyState.READY, self._lease)
            if reply is not None:
                done += self._send(reply)
        return done

    def file_copies(self) -> None:
        """Append copies of what was sent, where the server does not. Raises MailAway."""
        for reply in Reply.select().where((Reply.state == ReplyState.SENT) & (Reply.copied == False)).limit(BATCH):  # noqa: E712
            self._sent.file_copy(reply.our_id, reply.raw.encode("ascii"))
            Reply.update(copied=True).where(Reply.id == reply.id).execute()

    def _send(self, reply: Reply) -> bool:
        try:
            self._smtp.send(self._sender, reply.recipient, reply.raw.encode("ascii"))
        except SendFailed as failed:
            count("smtp_failed", failed.reason)
            logger.warning("reply not sent", extra={"reply": reply.id, "reason": failed.reason})
            self._not_sent(reply, failed)
            return False
        self._note_sent(reply)
        return True

    def _settle(self, reply_id: int) -> bool:
        """A worker went away while it sent this reply: was it taken?"""
        reply = claim_reply(reply_id, ReplyState.SENDING, self._lease)
        if reply is None:
            return False
        if not self._server_files_copies:
            self._leave_to_operator(reply)
            return False
        try:
            was_sent = self._sent.holds(reply.our_id)
        except MailAway as away:
            logger.warning("Sent folder not seen", extra={"reply": reply.id, "reason": away.reason})
            return False  # the claim runs out, and the question is asked again
        logger.info("doubtful reply settled", extra={"reply": reply.id, "was_sent": was_sent})
        if was_sent:
            self._note_sent(reply)
            return True
        return self._send(reply)

    def _note_sent(self, reply: Reply) -> None:
        now = utc_now()
        with self._database.atomic():
            move_reply(reply, ReplyState.SENT, reason="", sent_at=now, copied=self._server_files_copies)
            count("sent", reply.kind)
            message = reply.message
            if reply.kind == "answer" and message.state not in [state.value for state in FINAL]:
                Message.update(state=State.COMPLETED, done_at=now, raw=None).where(
                    (Message.id == message.id) & (Message.state == State.REPLYING)
                ).execute()
                count(State.COMPLETED.value)
                count_duration("answer_seconds", (now - message.received_at).total_seconds())
        self._on_moved(Message.get_by_id(message.id))

    def _not_sent(self, reply: Reply, failed: SendFailed) -> None:
        if failed.taken_perhaps:
            if not self._server_files_copies:
                self._leave_to_operator(reply)
            return  # it stays as it is, and is settled when its lease is over
        too_long = utc_now() - reply.created_at > self._give_up
        if failed.permanent or too_long:
            self._refused(reply, failed.reason)
            return
        wait = min(self._retry * 2 ** min(reply.attempts - 1, 10), LONGEST_WAIT)
        move_reply(reply, ReplyState.READY, reason=failed.reason, due_at=utc_now() + wait)

    def _refused(self, reply: Reply, reason: str) -> None:
        """The recipient's server does not want this reply, and will not: the message has failed."""
        with self._database.atomic():
            move_reply(reply, ReplyState.REFUSED, reason=reason)
            message = reply.message
            if reply.kind == "answer":
                changed = (
                    Message.update(state=State.FAILED, reason=SEND_REFUSED, done_at=utc_now())
                    .where((Message.id == message.id) & (Message.state == State.REPLYING))
                    .execute()
                )
                if not changed:
                    raise ClaimLost
                count(State.FAILED.value, SEND_REFUSED)
                apology = self._apologise(message, SEND_REFUSED).apology
                if apology is not None:
                    put_into_outbox(message, apology)
        self._on_moved(Message.get_by_id(message.id))

    def _leave_to_operator(self, reply: Reply) -> None:
        move_reply(reply, ReplyState.UNCERTAIN, reason="perhaps_sent")
        logger.error("nobody knows whether this reply was sent: an operator decides", extra={"reply": reply.id})
