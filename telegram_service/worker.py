"""Works the queue off: many chats at the same time, each update under a lease that is renewed while it lasts."""

from __future__ import annotations

import logging
import os
import queue
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import peewee

from common.log import request_id
from common.redis_store import RedisAway
from telegram_service.claim import Claim, RetryLater
from telegram_service.mailbox import Mailbox

logger = logging.getLogger(__name__)

LONGEST_WAIT = 60.0  # seconds between two attempts
APOLOGY_WITHIN = 86_400.0  # seconds: after a day nobody waits for it any more
REDIS_AGAIN = 0.5  # seconds between two attempts to tell Redis
AWAY = (RedisAway, peewee.OperationalError, peewee.InterfaceError)  # of Redis and of the database
LOOK = 0.5  # seconds between two looks for a free thread


class Handler(Protocol):
    """Who knows what an update means. Both methods may run again for the same update, and in any thread."""

    def handle(self, claim: Claim) -> None:
        """Answer it. Raises RetryLater."""

    def apologise(self, claim: Claim) -> None:
        """Tell the person that there will be no answer. Raises RetryLater."""


@dataclass(frozen=True, slots=True)
class Patience:
    """In seconds: `retry` is the first wait after a failure, `give_up` how long something may wait for what is away,
    `timeout` how long the lease of one update is renewed. `max_failures` of one update, then it is given up."""

    retry: float
    give_up: float
    timeout: float
    max_failures: int


class Worker:
    """One process' share of the queue: up to `threads` updates at a time, each of another chat."""

    def __init__(self, mailbox: Mailbox, handler: Handler, *, threads: int, lease: float, patience: Patience) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._mailbox = mailbox
        self._handler = handler
        self._lease = lease
        self._patience = patience
        self._free = threading.Semaphore(threads)
        self._queue: queue.SimpleQueue[Claim] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._running: dict[int, tuple[Claim, float]] = {}  # by fence, with the time of the claim; _guard's
        self._ending = threading.Event()
        self._threads = [self._thread(self._serve, f"work-{number}") for number in range(threads)]
        self._threads.append(self._thread(self._keep_leases, "leases"))

    def start(self) -> None:
        """Begin to serve. The threads end with the process."""
        for thread in self._threads:
            thread.start()

    def unit(self) -> bool:
        """Hand one update to a thread; False when none came within about a second. Raises RedisAway."""
        if not self._free.acquire(timeout=LOOK):
            return False
        claim = None
        try:
            claim = self._mailbox.claim(self.name)
            if claim is None:
                self._mailbox.wait()
        finally:
            if claim is None:
                self._free.release()
        if claim is not None:
            with self._guard:
                self._running[claim.fence] = (claim, time.monotonic())
            self._queue.put(claim)
        return claim is not None

    def is_well(self) -> bool:
        """Whether nothing takes much too long."""
        with self._guard:
            oldest = min((since for _, since in self._running.values()), default=time.monotonic())
        return time.monotonic() - oldest < 2 * self._patience.timeout

    def finish(self, grace: float) -> None:
        """Let what runs end within `grace` seconds, and give the rest back to the queue. The process has to end then:
        the threads cannot be stopped."""
        until = time.monotonic() + grace
        while self._busy() and time.monotonic() < until:
            time.sleep(0.05)
        self._ending.set()
        for claim in self._busy():
            try:
                self._mailbox.give_back(claim)
            except RedisAway:
                return  # the leases end by themselves
            logger.info("given back", extra={"update": claim.update_id})

    # -- one update, in a thread of the pool --------------------------------------------------------------------------

    def _serve(self) -> None:
        while True:
            claim = self._queue.get()
            request_id.set(f"telegram-{claim.update_id}")
            try:
                self._work(claim)
            except Exception:
                logger.exception("update not settled: its lease ends by itself", extra=_figures(claim))
            finally:
                with self._guard:
                    self._running.pop(claim.fence, None)
                self._free.release()

    def _work(self, claim: Claim) -> None:
        try:
            if self._mailbox.is_doomed(claim):
                self._give_up(claim, "killed its workers")
                return
            self._handler.handle(claim)
        except RetryLater as wait:
            self._wait(claim, wait.seconds, wait.reason)
        except AWAY as away:
            self._wait(claim, self._backoff(claim.attempts), type(away).__name__)
        except Exception:
            logger.exception("update not handled", extra=_figures(claim))
            if claim.failures + 1 >= self._patience.max_failures:
                self._give_up(claim, "failed too often")
            else:
                seconds = self._backoff(claim.failures + 1)
                self._settle(lambda: self._mailbox.later(claim, seconds, failed=True))
        else:
            self._settle(lambda: self._mailbox.done(claim))

    def _wait(self, claim: Claim, seconds: float, reason: str) -> None:
        logger.info("update waits", extra={**_figures(claim), "reason": reason, "seconds": round(seconds, 1)})
        if claim.waited >= self._patience.give_up:
            self._give_up(claim, f"waited too long: {reason}")
        else:
            self._settle(lambda: self._mailbox.later(claim, seconds))

    def _give_up(self, claim: Claim, reason: str) -> None:
        again: float | None = None
        try:
            self._handler.apologise(claim)
        except RetryLater as wait:
            again = wait.seconds
        except AWAY:
            again = self._backoff(claim.attempts)
        except Exception:
            logger.exception("no apology", extra=_figures(claim))
        if again is not None and claim.waited < APOLOGY_WITHIN:
            self._settle(lambda: self._mailbox.later(claim, again))
            return
        logger.error("update given up", extra={**_figures(claim), "reason": reason})
        self._settle(lambda: self._mailbox.bury(claim, reason))

    def _settle(self, tell: Callable[[], bool]) -> None:
        """Tell the queue, for as long as it takes."""
        while not self._ending.is_set():
            try:
                if not tell():
                    logger.info("claim lost")
                return
            except RedisAway:
                self._ending.wait(REDIS_AGAIN)

    def _backoff(self, times: int) -> float:
        wait: float = self._patience.retry * 2 ** min(times - 1, 10)
        return min(LONGEST_WAIT, wait) * random.uniform(0.75, 1.25)

    # -- leases, in a thread of their own -----------------------------------------------------------------------------

    def _keep_leases(self) -> None:
        pause = self._lease / 3
        while not self._ending.wait(pause):
            pause = self._lease / 3
            try:
                for claim in self._busy(self._patience.timeout):
                    self._mailbox.renew(claim)  # one that was lost is noticed when it ends
            except RedisAway:
                pause = min(pause, REDIS_AGAIN)  # so that it comes before others take what is ours

    def _busy(self, younger_than: float = float("inf")) -> list[Claim]:
        now = time.monotonic()
        with self._guard:
            return [claim for claim, since in self._running.values() if now - since < younger_than]

    def _thread(self, target: Callable[[], None], name: str) -> threading.Thread:
        return threading.Thread(target=target, name=name, daemon=True)


def _figures(claim: Claim) -> dict[str, int]:
    return {"update": claim.update_id, "attempts": claim.attempts, "deaths": claim.deaths, "failures": claim.failures}
