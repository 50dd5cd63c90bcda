"""A circuit breaker: what does not answer is left alone for a moment, then one call finds out whether it is back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Circuit:
    """For any thread. Opens after `failures` calls in a row that got no answer, for `seconds`."""

    def __init__(self, *, seconds: float, failures: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._failures = failures
        self._clock = clock
        self._lock = threading.Lock()
        self._failed = 0
        self._until = 0.0

    def admit(self) -> float:
        """Seconds to wait before calling; 0: call now. Of those who come when it is over the first one is let in."""
        with self._lock:
            if self._failed < self._failures:
                return 0.0
            wait = self._until - self._clock()
            if wait <= 0:
                self._until = self._clock() + self._seconds
            return max(0.0, wait)

    def failed(self) -> None:
        """A call got no answer."""
        with self._lock:
            self._failed += 1
            self._until = self._clock() + self._seconds

    def answered(self) -> None:
        """A call got an answer, whichever."""
        with self._lock:
            self._failed = 0
