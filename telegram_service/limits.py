"""How often people may write: each one, in a burst, and all together. Who is told to wait is told once per window."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import redis

from common.rate_limit import SlidingWindow
from common.redis_store import RedisAway, RedisStore

MINUTE = 60.0
BURST_SECONDS = 5.0


class Admission(Enum):
    """ALLOWED; or to be told to wait; or told already."""

    ALLOWED = "allowed"
    TELL = "tell"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`text` names what to say; `seconds` to wait."""

    admission: Admission
    text: str = ""
    seconds: int = 0


class _PersonWindow(SlidingWindow):
    """Under the key that the earlier system used."""

    def _key(self, subject: str) -> str:
        return f"user:{subject}:rate_limit"


class MessageLimits:
    """For any thread; over all processes that share Redis, and within each of them while it is away."""

    def __init__(self, store: RedisStore, *, person: int, burst: int, everybody: int) -> None:
        self._store = store
        self._person = _PersonWindow(person, window=MINUTE, store=store)
        self._burst = SlidingWindow(burst, window=BURST_SECONDS, store=store, name="burst")
        self._everybody = SlidingWindow(everybody, window=MINUTE, store=store, name="everybody")

    def admit(self, user: int, update_id: int) -> Verdict:
        """Count update `update_id` of a person, once however often it is asked."""
        if not self._first_time(update_id):
            return Verdict(Admission.ALLOWED)
        subject = str(user)
        for window, name, who in (
            (self._burst, "rate_limited", subject),
            (self._person, "rate_limited", subject),
            (self._everybody, "busy", "all"),
        ):
            verdict = window.hit(who)
            if not verdict.allowed:
                seconds = max(1, math.ceil(verdict.reset_after))
                admission = Admission.TELL if self._to_be_told(user, seconds) else Admission.SILENT
                return Verdict(admission, name, seconds)
        return Verdict(Admission.ALLOWED)

    def forget(self, user: int) -> None:
        """Forget what a person wrote. Raises RedisAway."""
        for window in (self._person, self._burst):
            window.forget(str(user))

    def _first_time(self, update_id: int) -> bool:
        """An update that is handed out again was counted before."""
        key = self._store.key("counted", update_id)
        try:
            return bool(self._store.call(lambda client: client.set(key, 1, ex=3600, nx=True)))
        except RedisAway:
            return True

    def _to_be_told(self, user: int, seconds: int) -> bool:
        def step(client: redis.Redis) -> bool:
            return bool(client.set(f"user:{user}:rate_limit:told", 1, ex=seconds, nx=True))

        try:
            return self._store.call(step)
        except RedisAway:
            return True
