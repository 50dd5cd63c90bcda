"""As fast as Telegram lets a bot write (https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this):
about one message a second in a chat, 20 a minute in a group, 30 a second in all; and not at all after a 429 until its
time is over. One chat is worked on by one process at a time, so its pace is kept here; that of all chats is shared.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from common.rate_limit import SlidingWindow
from common.redis_store import RedisStore
from telegram_service.telegram_errors import Flooded

CHAT = (1.0, 3.0)  # calls a second, and at most at once
GROUP = (20 / 60, 8.0)
OVERALL = 28  # a second; a little is left for what no pace is kept of
FORGET_AFTER = 300.0  # seconds: a bucket is full again long before


class Pace:
    """For any thread. `store` None: this process alone writes."""

    def __init__(
        self,
        store: RedisStore | None = None,
        *,
        overall: int = OVERALL,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._overall = SlidingWindow(overall, window=1.0, clock=clock, store=store, name="telegram_out")
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at: dict[int, float] = {}  # when a chat's bucket is full again; _lock's
        self._closed_until: dict[int, float] = {}  # _lock's
        self._next_sweep = 0.0

    def wait(self, chat: int, patience: float) -> None:
        """Sleep until one more call to `chat` is fine. Raises Flooded where that takes more than `patience` seconds."""
        end = self._clock() + patience
        with self._lock:
            wait = self._reserved(chat, patience)
        if wait > 0:
            self._sleep(wait)
        while not (verdict := self._overall.hit("all")).allowed:
            pause = max(verdict.reset_after, 0.01)
            if self._clock() + pause > end:
                raise Flooded(pause)
            self._sleep(pause)

    def closed_for(self, chat: int) -> float:
        """Seconds that a 429 still lasts in `chat`."""
        with self._lock:
            return max(0.0, self._closed_until.get(chat, 0.0) - self._clock())

    def close(self, chat: int, seconds: float) -> None:
        """Telegram wants no call to `chat` for so long."""
        with self._lock:
            self._closed_until[chat] = max(self._closed_until.get(chat, 0.0), self._clock() + seconds)

    def _reserved(self, chat: int, patience: float) -> float:
        now = self._clock()
        if now > self._next_sweep:
            self._sweep(now)
        wait = self._wait_of(chat, now)
        if wait > patience:
            raise Flooded(wait)
        rate, _ = GROUP if chat < 0 else CHAT
        self._free_at[chat] = max(self._free_at.get(chat, now), now) + 1 / rate
        return wait

    def _wait_of(self, chat: int, now: float) -> float:
        rate, most = GROUP if chat < 0 else CHAT
        full = self._free_at.get(chat, now) + 1 / rate - now
        return max(0.0, full - most / rate, self._closed_until.get(chat, now) - now)

    def _sweep(self, now: float) -> None:
        self._next_sweep = now + FORGET_AFTER
        self._free_at = {chat: at for chat, at in self._free_at.items() if at > now}
        self._closed_until = {chat: at for chat, at in self._closed_until.items() if at > now}
