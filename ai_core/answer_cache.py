"""Answers kept for the next one who asks the same, and shared by those who ask it at once.

What makes a question the same is everything that reached the model (see answer_key). Questions that go on from earlier
ones, and answers that broke off, are never kept. The answer to a question that may say who somebody is is kept for that
person alone, and in this process only.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from ai_core.answer import Answer
from ai_core.engine.request import FinishReason
from ai_core.grounding import Source
from ai_core.knowledge.citations import Citation
from ai_core.ready_answer import ReadyAnswer
from ai_core.running_answer import RunningAnswer
from ai_core.shared_answer import Reader, SharedAnswer
from common.redis_store import RedisAway, RedisStore

logger = logging.getLogger(__name__)

COMPLETE = (FinishReason.STOP, FinishReason.LENGTH)
FORMAT = 1  # of what Redis holds: another number and older entries are not found
ERASE_AT_ONCE = 500  # keys
BEGIN_LOCKS = 64  # of two who ask the same in one moment, one begins; others hardly ever meet


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """`digest` says what was asked. With a `person`, a keyed hash, the answer is theirs alone."""

    digest: str
    person: str | None = None


@dataclass(slots=True)
class CacheStats:
    """`joins`: requests that shared an answer still being written. Entries and bytes are this process's."""

    hits: int = 0
    misses: int = 0
    joins: int = 0
    entries: int = 0
    bytes: int = 0


class AnswerCache:
    """For any thread; the lock guards every field. `ttl` in seconds (0: nothing is kept, but what is asked at once is
    still computed once), `max_bytes` bound this process's own part."""

    def __init__(
        self,
        *,
        ttl: float,
        max_bytes: int,
        store: RedisStore | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ttl = ttl
        self._max_bytes = max_bytes
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[AnswerKey, tuple[float, bytes]] = OrderedDict()
        self._flights: dict[AnswerKey, SharedAnswer] = {}
        self._beginning = tuple(threading.Lock() for _ in range(BEGIN_LOCKS))
        self._stats = CacheStats()

    def answer(
        self, key: AnswerKey, start: Callable[[], RunningAnswer], *, read: bool, keep: bool
    ) -> ReadyAnswer | Reader:
        """The answer that is kept, or being written for somebody, else the one that `start` begins. Without `read`
        neither is looked at; without `keep` the new one is not kept. Raises what `start` raises."""
        if not read:
            return self._begin(key, start, joinable=False, keep=keep)
        found = self._ready(key)
        if found is not None:
            return found
        with self._beginning[hash(key) % BEGIN_LOCKS]:
            return self._join(key) or self._just_ready(key) or self._begin(key, start, joinable=True, keep=keep)

    def stats(self) -> CacheStats:
        """A copy of the counts."""
        with self._lock:
            return replace(self._stats, entries=len(self._kept))

    def forget(self, person: str) -> int:
        """Drop what is kept for one person; returns how many answers."""
        with self._lock:
            theirs = [key for key in self._kept if key.person == person]
            for key in theirs:
                self._drop(key)
        return len(theirs)

    def clear(self) -> tuple[int, int]:
        """Drop everything, in Redis too where it answers. Returns answers and bytes of this process, and those of
        Redis as answers only."""
        with self._lock:
            entries, size = len(self._kept), self._stats.bytes
            self._kept.clear()
            self._stats.bytes = 0
        return entries + self._clear_store(), size

    # -- being written ------------------------------------------------------------------------------------------------

    def _join(self, key: AnswerKey) -> Reader | None:
        with self._lock:
            flight = self._flights.get(key)
        reader = None if flight is None else flight.join()
        if reader is not None:
            self._count("joins")
        return reader

    def _begin(self, key: AnswerKey, start: Callable[[], RunningAnswer], *, joinable: bool, keep: bool) -> Reader:
        def ended(answer: Answer | None) -> None:
            with self._lock:
                if self._flights.get(key) is shared:
                    del self._flights[key]
            if keep and answer is not None:
                self._keep(key, answer)

        shared = SharedAnswer(start(), ended)
        self._count("misses")
        if joinable:
            with self._lock:
                self._flights[key] = shared
        return shared.first()

    # -- kept ---------------------------------------------------------------------------------------------------------

    def _ready(self, key: AnswerKey) -> ReadyAnswer | None:
        began = self._clock()
        stored = self._own(key) or self._from_store(key)
        return None if stored is None else self._hit(stored, began)

    def _just_ready(self, key: AnswerKey) -> ReadyAnswer | None:
        """What was finished since `_ready` looked."""
        stored = self._own(key)
        return None if stored is None else self._hit(stored, self._clock())

    def _hit(self, stored: bytes, began: float) -> ReadyAnswer:
        self._count("hits")
        return ReadyAnswer(replace(_answer(stored), cached=True, processing_time=self._clock() - began))

    def _own(self, key: AnswerKey) -> bytes | None:
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            until, stored = found
            if self._clock() >= until:
                self._drop(key)
                return None
            self._kept.move_to_end(key)
            return stored

    def _keep(self, key: AnswerKey, answer: Answer) -> None:
        if self._ttl <= 0 or answer.finish_reason not in COMPLETE:
            return
        stored = _stored(answer)
        if len(stored) <= self._max_bytes:
            with self._lock:
                self._drop(key)
                self._kept[key] = self._clock() + self._ttl, stored
                self._stats.bytes += len(stored)
                while self._stats.bytes > self._max_bytes:
                    self._drop(next(iter(self._kept)))
        if key.person is None:
            self._to_store(key, stored)

    def _drop(self, key: AnswerKey) -> None:
        _, stored = self._kept.pop(key, (0.0, b""))
        self._stats.bytes -= len(stored)

    def _count(self, name: str) -> None:
        with self._lock:
            setattr(self._stats, name, getattr(self._stats, name) + 1)

    # -- Redis --------------------------------------------------------------------------------------------------------

    def _name(self, store: RedisStore, digest: str) -> str:
        return store.key("answer", FORMAT, digest)

    def _from_store(self, key: AnswerKey) -> bytes | None:
        store = self._store
        if store is None or key.person is not None:
            return None
        try:
            found: Any = store.call(lambda client: client.get(self._name(store, key.digest)))
        except RedisAway:
            return None  # the store has said so; an answer is computed again
        return found if isinstance(found, bytes) else None

    def _to_store(self, key: AnswerKey, stored: bytes) -> None:
        store = self._store
        if store is None:
            return
        try:
            store.call(lambda client: client.set(self._name(store, key.digest), stored, px=round(self._ttl * 1000)))
        except RedisAway:
            return  # as above

    def _clear_store(self) -> int:
        store = self._store
        if store is None:
            return 0
        try:
            return store.call(lambda client: _delete_all(client, self._name(store, "*")))
        except RedisAway as away:
            logger.warning("answers in Redis not cleared", extra={"reason": away.reason})
            return 0


def _delete_all(client: Any, pattern: str) -> int:
    found = list(client.scan_iter(match=pattern, count=ERASE_AT_ONCE))
    batches = (found[start : start + ERASE_AT_ONCE] for start in range(0, len(found), ERASE_AT_ONCE))
    return sum(int(client.unlink(*batch)) for batch in batches)


def _stored(answer: Answer) -> bytes:
    return json.dumps(asdict(answer), ensure_ascii=False, default=str).encode()


def _answer(stored: bytes) -> Answer:
    fields = json.loads(stored)
    return Answer(
        **{
            **fields,
            "finish_reason": FinishReason(fields["finish_reason"]),
            "sources": tuple(Source(**_with_tuples(source)) for source in fields["sources"]),
            "citations": tuple(Citation(**_with_tuples(citation)) for citation in fields["citations"]),
        }
    )


def _with_tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
