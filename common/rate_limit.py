"""A sliding-window limit: exact within this process, and over all processes that share a Redis.

While Redis is away each process counts for itself, also what it let through before, so that one process never lets
more than the limit through, whatever Redis does.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from common.redis_store import RedisAway, RedisStore

# Times are Redis' own, in microseconds: the processes' clocks need not agree. A hit is a member of a sorted set.
SCRIPT = """
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
local window, limit, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
local count = redis.call('ZCARD', KEYS[1])
local allowed = count < limit
if allowed and wanted ~= '' then
  redis.call('ZADD', KEYS[1], now, wanted)
  redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000) + 1000)
  count = count + 1
end
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
local reset = 0
if oldest[2] then reset = oldest[2] + window - now end
return {allowed and 1 or 0, count, math.ceil(reset)}
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`remaining` hits are left of `limit`; `reset_after` seconds from now the oldest hit leaves the window."""

    allowed: bool
    limit: int
    remaining: int
    reset_after: float


class SlidingWindow:
    """At most `limit` hits a subject in any `window` seconds; a refused hit does not count. Any thread may call it.
    With a `store` the processes that use the same `name` count together."""

    def __init__(
        self,
        limit: int,
        *,
        window: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        store: RedisStore | None = None,
        name: str = "",
    ) -> None:
        self.limit = limit
        self._window = window
        self._clock = clock
        self._hits: dict[str, deque[float]] = {}
        self._lock = threading.Lock()
        self._next_sweep = 0.0
        self._store = store
        self._name = name
        self._ask = None if store is None else store.script(SCRIPT)

    def hit(self, subject: str, *, limit: int | None = None) -> Verdict:
        """Count one hit for `subject`, whose own `limit` may differ from the common one."""
        limit = self.limit if limit is None else limit
        own = self._own(subject, limit, count=self._ask is None)
        if self._ask is None or not own.allowed:
            return own
        try:
            shared = self._shared(subject, limit, uuid.uuid4().hex)
        except RedisAway:
            return self._own(subject, limit, count=True)
        if shared.allowed:
            self._own(subject, limit, count=True)
        return shared

    def look(self, subject: str) -> Verdict:
        """What a hit would be told, without counting it."""
        own = self._own(subject, self.limit, count=False)
        if self._ask is None or not own.allowed:
            return own
        try:
            return self._shared(subject, self.limit, "")
        except RedisAway:
            return own

    def forget(self, subject: str) -> None:
        """Forget the hits of `subject`, here and in Redis where it answers."""
        with self._lock:
            self._hits.pop(subject, None)
        if self._store is not None:
            key = self._key(subject)
            self._store.call(lambda client: client.delete(key))

    def _key(self, subject: str) -> str:
        assert self._store is not None
        return self._store.key("limit", self._name, subject)

    def _shared(self, subject: str, limit: int, hit: str) -> Verdict:
        assert self._ask is not None
        reply: Any = self._ask([self._key(subject)], [round(self._window * 1e6), limit, hit])
        allowed, count, microseconds = reply
        return Verdict(bool(allowed), limit, max(0, limit - count), microseconds / 1e6)

    def _own(self, subject: str, limit: int, *, count: bool) -> Verdict:
        with self._lock:
            hits = self._current(subject)
            allowed = len(hits) < limit
            if allowed and count:
                hits.append(self._clock())
            reset_after = hits[0] + self._window - self._clock() if hits else 0.0
            return Verdict(allowed, limit, max(0, limit - len(hits)), max(0.0, reset_after))

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
