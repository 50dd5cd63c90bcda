"""One server: what it is, whether it works, how many of our answers it computes."""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import dataclass

from ai_core.engine.backends.remote.address import Address
from ai_core.engine.backends.remote.breaker import Breaker, Pace, State
from ai_core.engine.backends.remote.connection import Connection
from ai_core.engine.backends.remote.errors import KeyRefused, RemoteError, ServerBusy, ServerFailed
from ai_core.engine.backends.remote.facts import Facts, examine

logger = logging.getLogger(__name__)

JITTER = 0.2  # of a pause, so that several clients do not knock at the same moment


@dataclass(frozen=True, slots=True)
class Promise:
    """What the model has told the world it can do, which each of its servers must then keep."""

    context_length: int
    honours: frozenset[str]

    def broken_by(self, facts: Facts) -> str | None:
        """In what way `facts` fall short."""
        if facts.context_length < self.context_length:
            return (
                f"its context has room for {facts.context_length} tokens, the other servers' for {self.context_length}"
            )
        missing = sorted(self.honours - facts.honours)
        return f"it does not honour {', '.join(missing)} as the other servers do" if missing else None


class Server:
    """Safe from any thread; the lock guards the breaker, the facts and the counts. `watch` runs until `close`."""

    def __init__(
        self, address: Address, api_key: str | None, *, model: str | None, context_length: int | None, pace: Pace
    ) -> None:
        self.address = address
        self._api_key = api_key
        self._model = model
        self._context_length = context_length
        self._pace = pace
        self._breaker = Breaker(pace)
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._facts: Facts | None = None
        self._promise: Promise | None = None
        self._in_flight = 0
        self._rests_until = 0.0
        self.trouble = ""
        """What was wrong at the last check; empty when nothing was."""

    # -- health -------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Ask the server how it is, and believe it."""
        connection = self.connect()
        try:
            facts = examine(
                connection,
                self.address,
                model=self._model,
                context_length=self._context_length,
                seconds=self._pace.timeout,
            )
            broken = None if self._promise is None else self._promise.broken_by(facts)
            if broken is not None:
                raise ServerFailed(f"{self.address}: {broken}")
        except RemoteError as error:
            self._note(str(error), key_refused=isinstance(error, KeyRefused))
            with self._lock:
                self._breaker.failed_check()
        else:
            self._note("")
            with self._lock:
                self._facts = facts
                self._breaker.passed_check()
        finally:
            connection.close()

    def watch(self, promise: Promise) -> None:
        """Check from now on in a thread of its own, also whether `promise` is kept."""
        self._promise = promise
        threading.Thread(target=self._watch, name=f"remote-health-{self.address.host}", daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        self._wake.set()

    def _watch(self) -> None:
        while not self._closed.is_set():
            if self._wake.wait(self._pause()):  # an answer has just failed
                self._wake.clear()
                self._closed.wait(self._pause())
            if not self._closed.is_set():
                self._check_safely()

    def _pause(self) -> float:
        return self._breaker.pause * random.uniform(1 - JITTER, 1 + JITTER)

    def _check_safely(self) -> None:
        try:
            self.check()
        except Exception:
            logger.exception("health check failed", extra={"server": str(self.address)})

    def _note(self, trouble: str, *, key_refused: bool = False) -> None:
        """Log what changed, not what stays."""
        if trouble == self.trouble:
            return
        if trouble:
            logger.log(logging.ERROR if key_refused else logging.WARNING, "remote server in trouble: %s", trouble)
        else:
            logger.info("remote server works again", extra={"server": str(self.address)})
        self.trouble = trouble

    # -- answers ------------------------------------------------------------------------------------------------------

    def connect(self) -> Connection:
        """A connection that is not open yet, so that it can be aborted from the beginning."""
        return Connection(self.address, self._api_key)

    @property
    def facts(self) -> Facts | None:
        """None until it has answered once."""
        return self._facts

    @property
    def slots(self) -> int:
        """Answers that it may compute at once for us; 0 while it is out."""
        facts = self._facts
        return facts.slots if facts is not None and self._breaker.state is not State.OPEN else 0

    def load(self) -> float | None:
        """The part of its slots that our answers hold; None when it cannot take one now."""
        with self._lock:
            return self._load()

    def claim(self) -> bool:
        """Take a slot, if one is still free; `leave` gives it back."""
        with self._lock:
            if self._load() is None:
                return False
            self._in_flight += 1
            return True

    def leave(self) -> None:
        with self._lock:
            self._in_flight -= 1

    def answered(self) -> None:
        with self._lock:
            self._breaker.answered()

    def failed(self, error: RemoteError) -> None:
        """An answer failed for a reason that lies with the server."""
        with self._lock:
            if isinstance(error, ServerBusy):
                self._rests_until = time.monotonic() + error.retry_after
                return
            self._breaker.failed_answer(at_once=not isinstance(error, ServerFailed) or error.at_once)
            out = self._breaker.state is State.OPEN
        if out:
            self._note(str(error), key_refused=isinstance(error, KeyRefused))
            self._wake.set()

    def _load(self) -> float | None:
        if self._facts is None or self._breaker.state is State.OPEN or time.monotonic() < self._rests_until:
            return None
        slots = 1 if self._breaker.state is State.HALF_OPEN else self._facts.slots
        return self._in_flight / self._facts.slots if self._in_flight < slots else None
