"""What goes wrong at the fake Bot API server, on demand; and the floods that Telegram does not let through."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tests.telegram_rules import Refused

ANY = "*"


@dataclass
class Fault:
    """Happens to the next `times` calls of `method`."""

    method: str
    kind: Literal["fail", "hang", "drop"]
    times: int = 1
    refusal: Refused | None = None
    seconds: float = 0.0
    done: bool = True  # whether the call has its effect all the same


class Faults:
    """Those that wait for their call."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._guard = threading.Lock()

    def add(self, fault: Fault) -> None:
        with self._guard:
            self._waiting.append(fault)

    def clear(self) -> None:
        with self._guard:
            self._waiting.clear()

    def take(self, method: str) -> Fault | None:
        with self._guard:
            for fault in self._waiting:
                if fault.method in (ANY, method):
                    fault.times -= 1
                    if fault.times <= 0:
                        self._waiting.remove(fault)
                    return fault
            return None


class Rates:
    """Telegram's limits (https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this): `overall`
    messages a second, `chat` a second in one chat with bursts of `burst`, `group` a minute in one group."""

    def __init__(
        self,
        *,
        overall: float = 30,
        chat: float = 1,
        burst: float = 5,
        group: float = 20,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._overall = Bucket(overall, overall)
        self._chat = (chat, burst)
        self._group = (group / 60, group)
        self._chats: dict[int, list[Bucket]] = {}
        self._guard = threading.Lock()

    def count(self, chat: int) -> None:
        """One message more. Raises Refused 429."""
        with self._guard:
            if chat not in self._chats:
                self._chats[chat] = [Bucket(*self._chat)] + ([Bucket(*self._group)] if chat < 0 else [])
            buckets, now = [self._overall, *self._chats[chat]], self._clock()
            wait = max(bucket.wait(now) for bucket in buckets)
            if wait > 0:
                seconds = math.ceil(wait)
                raise Refused(429, f"Too Many Requests: retry after {seconds}", seconds)
            for bucket in buckets:
                bucket.left -= 1


class Bucket:
    """`left` tokens, filled at `rate` a second up to `most`."""

    def __init__(self, rate: float, most: float) -> None:
        self.left = most
        self._rate = rate
        self._most = most
        self._at: float | None = None

    def wait(self, now: float) -> float:
        """Seconds until there is one."""
        if self._at is not None:
            self.left = min(self._most, self.left + (now - self._at) * self._rate)
        self._at = now
        return max(0.0, (1 - self.left) / self._rate)
