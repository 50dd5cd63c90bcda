"""Whether a server gets requests: a circuit breaker, as in M. Nygard, "Release It!"."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    CLOSED = "closed"
    """Gets requests."""
    HALF_OPEN = "half open"
    """Gets one request at a time, until one is answered."""
    OPEN = "open"
    """Gets none, until a health check passes."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: between health checks of a server that works, for each question of one, after a first failure, and at
    most after many."""

    interval: float = 5.0
    timeout: float = 3.0
    first_pause: float = 0.5
    longest_pause: float = 30.0


MISSES = 2  # health checks in a row
STRIKES = 4  # failures in a row that may each have been the request's own fault


class Breaker:
    """Open at first. Not locked: its server does that."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._failures = 0
        self._strikes = 0
        self._doubted = False
        self.state = State.OPEN

    def passed_check(self) -> None:
        if self.state is State.OPEN:
            self.state = State.HALF_OPEN if self._doubted else State.CLOSED
        if not self._doubted:
            self._failures = 0

    def failed_check(self) -> None:
        """One may be lost to a busy moment."""
        self._failures += 1
        if self.state is not State.CLOSED or self._failures >= MISSES:
            self.state = State.OPEN

    def answered(self) -> None:
        """An answer came to its end."""
        self._failures = self._strikes = 0
        self._doubted = False
        if self.state is State.HALF_OPEN:
            self.state = State.CLOSED

    def failed_answer(self, *, at_once: bool) -> None:
        """An answer failed; unless `at_once`, it takes several of them."""
        self._strikes += 1
        if at_once or self.state is State.HALF_OPEN or self._strikes >= STRIKES:
            self._doubted = True
            self.state = State.OPEN
            self._strikes = 0
            self._failures += 1

    @property
    def pause(self) -> float:
        """Seconds until the next health check."""
        if self.state is State.HALF_OPEN or not self._failures:
            return self._pace.interval
        return min(self._pace.first_pause * 2.0 ** min(self._failures - 1, 20), self._pace.longest_pause)
