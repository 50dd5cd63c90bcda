"""Who used how much: one row a request, written behind the answers, summed by day and key.

A row holds no text. A bounded queue and one thread keep the database out of the way of answers: while it is away rows
wait; when the queue is full the oldest ones are dropped and counted.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import peewee

from ai_core.storage import RequestUsage, utc_now
from common.database import connection

logger = logging.getLogger(__name__)

CAPACITY = 10_000  # rows: some minutes of a busy server
AT_ONCE = 100  # rows in one statement: SQLite takes 999 values and more
RETRY_AFTER = 1.0  # seconds, doubled up to
RETRY_AT_MOST = 30.0
EXPORT_AT_MOST = 100_000  # rows of one person


@dataclass(slots=True)
class Usage:
    """One request for an answer. `person` is a keyed hash; `error` the code of the error that it ended with. Whoever
    writes it down lets go of it in `UsageLog.put`."""

    channel: str
    key_id: int | None = None
    person: str | None = None
    model: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    finish_reason: str | None = None
    cached: bool = False
    error: str | None = None
    at: datetime = field(default_factory=utc_now)


class UsageLog:
    """Takes rows from any thread; its own thread writes them. The condition guards the queue."""

    def __init__(self, database: peewee.Database, *, capacity: int = CAPACITY) -> None:
        self._database = database
        self._capacity = capacity
        self._queue: deque[Usage] = deque()
        self._writing = False
        self._stopping = False
        self._condition = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="usage", daemon=True)
        self.dropped = 0
        """Rows lost because the database was away for too long."""

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def put(self, usage: Usage) -> None:
        """Note a request; returns at once."""
        with self._condition:
            if len(self._queue) >= self._capacity:
                self._queue.popleft()
                self.dropped += 1
            self._queue.append(usage)
            self._condition.notify_all()

    @property
    def waiting(self) -> int:
        """Rows that are not in the database yet."""
        return len(self._queue)

    def flush(self, timeout: float) -> bool:
        """Wait until every row so far is written; False where that took longer than `timeout` seconds."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._queue and not self._writing, timeout)

    def stop(self, *, timeout: float = 5.0) -> None:
        """Write what is left, as far as the database lets us within `timeout` seconds."""
        if self._thread.is_alive():
            self.flush(timeout)
            with self._condition:
                self._stopping = True
                self._condition.notify_all()
            self._thread.join(timeout)
        if self._queue:
            logger.error("usage rows lost: the database is away", extra={"rows": len(self._queue)})

    def of(self, people: Sequence[str]) -> list[dict[str, Any]]:
        """The rows of a person by their hashes, oldest first, the newest EXPORT_AT_MOST of them."""
        self.flush(5.0)
        rows = RequestUsage.select().where(RequestUsage.person.in_(people)).order_by(RequestUsage.id.desc())
        return [_shown(row) for row in reversed(list(rows.limit(EXPORT_AT_MOST)))]

    def forget(self, people: Sequence[str]) -> int:
        """Take a person's hashes out of the rows; returns how many rows there were. The rows stay in the sums."""
        self.flush(5.0)
        changed = RequestUsage.update(person=None).where(RequestUsage.person.in_(people))
        return int(changed.execute())

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        wait = RETRY_AFTER
        while (rows := self._next()) is not None:
            try:
                self._write(rows)
                wait = RETRY_AFTER
            except (peewee.OperationalError, peewee.InterfaceError) as error:
                logger.warning("usage not written yet", extra={"rows": len(rows), "reason": type(error).__name__})
                self._put_back(rows)
                with self._condition:
                    if self._condition.wait_for(lambda: self._stopping, wait):
                        return
                wait = min(2 * wait, RETRY_AT_MOST)
            except Exception:
                logger.exception("usage rows cannot be written", extra={"rows": len(rows)})
                self._end_of_write(dropped=len(rows))

    def _next(self) -> list[Usage] | None:
        with self._condition:
            self._condition.wait_for(lambda: bool(self._queue) or self._stopping)
            if not self._queue:
                return None
            self._writing = True
            return [self._queue.popleft() for _ in range(min(AT_ONCE, len(self._queue)))]

    def _write(self, rows: list[Usage]) -> None:
        with connection(self._database):
            RequestUsage.insert_many([_stored(row) for row in rows]).execute(self._database)
        self._end_of_write()

    def _put_back(self, rows: list[Usage]) -> None:
        with self._condition:
            room = self._capacity - len(self._queue)
            kept = rows[max(0, len(rows) - room) :] if room > 0 else []
            self._queue.extendleft(reversed(kept))
        self._end_of_write(dropped=len(rows) - len(kept))

    def _end_of_write(self, dropped: int = 0) -> None:
        with self._condition:
            self.dropped += dropped
            self._writing = False
            self._condition.notify_all()


def _stored(usage: Usage) -> dict[str, Any]:
    # The channel is the client's word: it must not be what the database refuses.
    return {
        **asdict(usage),
        "channel": usage.channel.replace("\0", "")[:40],
        "model": usage.model and usage.model[:200],
    }


def _shown(row: RequestUsage) -> dict[str, Any]:
    return {
        "at": row.at,
        "channel": row.channel,
        "model": row.model,
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "seconds": round(row.seconds, 3),
        "finish_reason": row.finish_reason,
        "cached": row.cached,
        "error": row.error,
    }
