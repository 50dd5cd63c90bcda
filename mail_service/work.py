"""What a worker does, one unit after another: replies that wait in the outbox first, then messages."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import peewee

from common.database import connection
from mail_service.counters import count
from mail_service.mail_queue import MailQueue
from mail_service.outbox import Outbox
from mail_service.outcomes import conclude
from mail_service.responder import Responder
from mail_service.states import ClaimLost, State, claim_message, due_messages, move, renew
from mail_service.storage import Message, utc_now

logger = logging.getLogger(__name__)

LONGEST_WAIT = timedelta(hours=1)


class MailWork:
    """One unit of work at a time. Any number of these may run, in any number of processes. The `lease` on a message is
    renewed while it is worked on, for at most `timeout`."""

    def __init__(
        self,
        database: peewee.Database,
        responder: Responder,
        outbox: Outbox,
        queue: MailQueue,
        *,
        lease: timedelta,
        timeout: timedelta,
        retry: timedelta,
    ) -> None:
        self._database = database
        self._responder = responder
        self._outbox = outbox
        self._queue = queue
        self._lease = lease
        self._timeout = timeout
        self._retry = retry

    def unit(self) -> bool:
        """Do what is next; False when nothing was. Raises peewee.PeeweeException where the database is away."""
        with connection(self._database):
            sent = self._outbox.work()
            message = self._next()
            if message is None:
                return sent > 0
            self._handle(message)
            self._outbox.work()
            return True

    def _next(self) -> Message | None:
        hinted = self._queue.next()
        if hinted is not None:
            message = claim_message(hinted, self._lease)
            if message is not None:
                return message
            self._queue.drop(hinted)  # somebody was faster, or it is gone
        for message_id in due_messages(5):
            message = claim_message(message_id, self._lease)
            if message is not None:
                return message
        return None

    def _handle(self, message: Message) -> None:
        try:
            with self._keeping_claim(message):
                outcome = self._responder.respond(message)
            conclude(self._database, message, outcome)
        except ClaimLost:
            logger.info("claim lost", extra={"mail": message.id})
            return
        except peewee.PeeweeException:
            raise  # the database is away: the lease runs out, and the message comes back
        except Exception:
            # Whatever it is, it is this message's: the others go on.
            logger.exception("mail not processed", extra={"mail": message.id, "attempts": message.attempts})
            count("processing_errors")
            self._try_later(message)
        self._tell(message.id)

    def _try_later(self, message: Message) -> None:
        wait = min(self._retry * 2 ** min(message.attempts - 1, 10), LONGEST_WAIT)
        try:
            move(message, State.PENDING, due_at=utc_now() + wait)
        except ClaimLost:
            logger.info("claim lost", extra={"mail": message.id})

    def _tell(self, message_id: int) -> None:
        fresh = Message.get_or_none(Message.id == message_id)
        if fresh is not None:
            tell_queue(self._queue, fresh)

    @contextmanager
    def _keeping_claim(self, message: Message) -> Iterator[None]:
        """Renew the lease from a thread, since reading files and the AI core take their time."""
        stop = threading.Event()
        thread = threading.Thread(target=self._renew, args=(message, stop), name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _renew(self, message: Message, stop: threading.Event) -> None:
        until = time.monotonic() + self._timeout.total_seconds()
        while not stop.wait(self._lease.total_seconds() / 3):
            if time.monotonic() > until:
                logger.error("message takes too long", extra={"mail": message.id})
                return  # others may take it; what hangs here is the watchdog's
            try:
                with connection(self._database):
                    if not renew(message, self._lease):
                        return
            except peewee.PeeweeException as error:
                logger.warning("lease not renewed", extra={"mail": message.id, "reason": type(error).__name__})


def tell_queue(queue: MailQueue, message: Message) -> None:
    """Let the queue know where `message` stands."""
    queue.moved(message.id, message.state, message.attempts)
    if message.state in (State.PENDING, State.HELD):
        queue.offer(message)
