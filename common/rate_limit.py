"""A sliding-window limit, exact within this process."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """`remaining` hits are left of `limit`; `reset_after` seconds from now the oldest hit leaves the window."""

    allowed: bool
    limit: int
    remaining: int
    reset_after: float


class SlidingWindow:
    """At most `limit` hits a subject in any `window` seconds; a refused hit does not count. Any thread may call it."""

    def __init__(self, limit: int, *, window: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._window = window
        self._clock = clock
        self._hits: dict[str, deque[float]] = {}
        self._lock = threading.Lock()
        self._next_sweep = 0.0

    def hit(self, subject: str, *, limit: int | None = None) -> Verdict:
        """Count one hit for `subject`, whose own `limit` may differ from the common one."""
        with self._lock:
            hits = self._current(subject)
            allowed = len(hits) < (self.limit if limit is None else limit)
            if allowed:
                hits.append(self._clock())
            return self._verdict(hits, allowed, self.limit if limit is None else limit)

    def look(self, subject: str) -> Verdict:
        """What a hit would be told, without counting it."""
        with self._lock:
            hits = self._current(subject)
            return self._verdict(hits, len(hits) < self.limit, self.limit)

    def _current(self, subject: str) -> deque[float]:
        now = self._clock()
        if now >= self._next_sweep:
            self._sweep(now)
        hits = self._hits.setdefault(subject, deque())
        while hits and hits[0] <= now - self._window:
            hits.popleft()
        return hits

    def _sweep(self, now: float) -> None:
        # Subjects come from outside: those that went quiet are forgotten, so memory follows the current traffic.
        self._hits = {subject: hits for subject, hits in self._hits.items() if hits and hits[-1] > now - self._window}
        self._next_sweep = now + self._window

    def _verdict(self, hits: deque[float], allowed: bool, limit: int) -> Verdict:
        reset_after = hits[0] + self._window - self._clock() if hits else 0.0
        return Verdict(allowed, limit, max(0, limit - len(hits)), max(0.0, reset_after))
