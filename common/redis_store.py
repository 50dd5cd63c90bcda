"""Redis, where one is configured: bounded waits, and a breaker so that a dead server costs nobody its timeout twice.

Only commands of Redis 6.0 (Ubuntu 22.04). Nothing connects before the first call.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

T = TypeVar("T")

AWAY_SECONDS = 1.0
"""After a failure nobody asks again for so long."""
_NOT_NOW = ("LOADING", "READONLY", "OOM", "MISCONF", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY")
"""Error replies of a server that is there but cannot do its work (redis.conf, server.c)."""


class RedisAway(Exception):
    """Redis cannot be asked now; `reason` is the name of the error, without addresses."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Redis does not answer: {reason}")
        self.reason = reason


class RedisStore:
    """One server, for any thread. `url` as redis-py reads it; `prefix` begins every key; `timeout` in seconds bounds
    connecting and each reply."""

    def __init__(
        self,
        url: str,
        *,
        prefix: str,
        timeout: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client = redis.Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            socket_keepalive=True,
            # One attempt: the caller knows whether its command may run twice. A connection that went stale is seen by
            # the check before its use.
            retry=Retry(NoBackoff(), 0),
            health_check_interval=15,
        )
        self._prefix = prefix
        self._clock = clock
        self._lock = threading.Lock()
        self._away_until = 0.0
        self._away = False
        self._turn = 0  # counts its comings and goings: calls that overlap one of them change nothing

    def key(self, *parts: object) -> str:
        """The name of a key: the store's prefix, then `parts`."""
        return ":".join((self._prefix, *map(str, parts)))

    def script(self, text: str) -> Callable[[Sequence[str], Sequence[Any]], Any]:
        """A Lua script, sent once and called by its digest. Call as `script(keys, arguments)`; raises RedisAway."""
        registered = self.client.register_script(text)
        return lambda keys, arguments: self.call(lambda _: registered(keys=list(keys), args=list(arguments)))

    def call(self, function: Callable[[redis.Redis], T]) -> T:
        """What `function` returns for the client. Raises RedisAway where Redis cannot be asked; other replies of the
        server that are errors (redis.ResponseError) are the caller's fault and go through."""
        if self._clock() < self._away_until:
            raise RedisAway("it did not a moment ago")
        return self._attempt(function)

    def is_up(self) -> bool:
        """Whether it answers now; asks also while the breaker is open."""
        try:
            self._attempt(lambda client: client.ping())
        except RedisAway:
            return False
        return True

    def close(self) -> None:
        """Give the connections back."""
        self.client.close()

    def _attempt(self, function: Callable[[redis.Redis], T]) -> T:
        turn = self._turn
        try:
            result = function(self.client)
        except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
            raise self._gone(turn, type(error).__name__) from error
        except redis.ResponseError as error:
            word = str(error).partition(" ")[0]
            if word not in _NOT_NOW and type(error).__name__ not in ("ReadOnlyError", "OutOfMemoryError"):
                raise
            raise self._gone(turn, word) from error
        if self._away:
            self._back(turn)
        return result

    def _gone(self, turn: int, reason: str) -> RedisAway:
        with self._lock:
            # A call from before it came back says nothing of now.
            first = not self._away and turn == self._turn
            if self._away or first:
                self._away_until = self._clock() + AWAY_SECONDS
            if first:
                self._away, self._turn = True, self._turn + 1
        if first:
            logger.warning("Redis does not answer", extra={"reason": reason})
        return RedisAway(reason)

    def _back(self, turn: int) -> None:
        with self._lock:
            first = self._away and turn == self._turn
            if first:
                self._away, self._turn, self._away_until = False, self._turn + 1, 0.0
        if first:
            logger.warning("Redis answers again")
