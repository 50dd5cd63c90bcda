"""The poller's loop: woken by the clock and by IDLE, it takes in what is new and files what is done."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable

import peewee
from imapclient import IMAPClient  # type: ignore[import-untyped]

from common.database import connection
from mail_service.imap_server import ImapServer, MailAway, leave, translated
from mail_service.inbox import Inbox
from mail_service.mail_queue import MailQueue
from mail_service.outbox import Outbox
from mail_service.states import State
from mail_service.storage import Message

logger = logging.getLogger(__name__)

LONGEST_BACKOFF = 60.0  # seconds
IDLE_SECONDS = 60.0  # then the wait begins anew; servers allow 29 minutes (RFC 2177)


class Poller:
    """Owns one session, which is kept between polls. Not for sharing between threads, `wake` apart."""

    def __init__(
        self, database: peewee.Database, server: ImapServer, inbox: Inbox, queue: MailQueue, outbox: Outbox
    ) -> None:
        self._database = database
        self._server = server
        self._inbox = inbox
        self._queue = queue
        self._outbox = outbox
        self._client: IMAPClient | None = None
        self._failures = 0
        self._wake = threading.Event()

    def wake(self) -> None:
        """Poll now."""
        self._wake.set()

    def run(self, stopping: threading.Event, on_round: Callable[[], None]) -> None:
        """Poll until `stopping`; `on_round` hears that the loop goes on."""
        self.wake()
        while not stopping.is_set():
            on_round()
            if self._wake.wait(0.5):
                self._wake.clear()
                if not stopping.is_set() and not self.poll():
                    stopping.wait(self._backoff())
                    self.wake()
        self.close()

    def poll(self) -> bool:
        """One round; False when the server or the database was away."""
        try:
            with connection(self._database):
                client = self._client = self._client or self._server.connect()
                with translated():
                    new = self._inbox.poll(client)
                self._outbox.file_copies()
                if new:
                    self._offer_new()
        except MailAway as away:
            logger.warning("mail server away", extra={"reason": away.reason, "failures": self._failures})
            self._failures += 1
            self.close()
            return False
        except peewee.PeeweeException as error:
            logger.error("database away", extra={"reason": type(error).__name__})
            self._failures += 1
            return False
        self._failures = 0
        return True

    def close(self) -> None:
        """End the session."""
        if self._client is not None:
            leave(self._client)
            self._client = None

    def _offer_new(self) -> None:
        fields = (Message.id, Message.state, Message.due_at, Message.urgent, Message.attempts)
        for message in Message.select(*fields).where(Message.state == State.PENDING):
            self._queue.offer(message)

    def _backoff(self) -> float:
        return min(LONGEST_BACKOFF, 2.0 ** min(self._failures, 6)) * random.uniform(0.5, 1.0)


class IdleWatch:
    """A second session that only waits for news and then wakes the poller. Without it mail comes with the next tick of
    the clock, so its failures matter to nobody."""

    def __init__(self, server: ImapServer, folder: str, poller: Poller) -> None:
        self._server = server
        self._folder = folder
        self._poller = poller

    def run(self, stopping: threading.Event) -> None:
        """Watch until `stopping`."""
        failures = 0
        while not stopping.is_set():
            try:
                with self._server.session() as client:
                    if not client.has_capability("IDLE"):
                        logger.info("the server knows no IDLE")
                        return
                    client.select_folder(self._folder, readonly=True)
                    failures = 0
                    self._watch(client, stopping)
            except MailAway as away:
                failures += 1
                logger.info("IDLE interrupted", extra={"reason": away.reason})
                stopping.wait(min(LONGEST_BACKOFF, 2.0 ** min(failures, 6)) * random.uniform(0.5, 1.0))

    def _watch(self, client: IMAPClient, stopping: threading.Event) -> None:
        self._poller.wake()  # for what came between two sessions
        while not stopping.is_set():
            client.idle()
            waited = 0.0
            news: list[object] = []
            while not news and waited < IDLE_SECONDS and not stopping.is_set():
                news = client.idle_check(timeout=0.5)
                waited += 0.5
            client.idle_done()
            if any(isinstance(item, tuple) and b"EXISTS" in item for item in news):
                self._poller.wake()
