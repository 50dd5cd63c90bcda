"""The queue in Redis: which message comes next, and where each one stands. The database has the truth; this makes
finding work quick and the state of things visible. Without Redis workers look into the database instead.

email:queue:pending     sorted set of message ids, by when they are due, urgent ones a day earlier
email:queue:processing  sorted set, by when work on them began
email:queue:completed   the last ones, newest first; email:queue:failed likewise (refused ones are not there)
email:{id}:status|attempts|last_attempt
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

import redis

from common.redis_store import RedisAway, RedisStore
from mail_service.states import State
from mail_service.storage import Message

logger = logging.getLogger(__name__)

PREFIX = "email"
URGENT_LEAD = 86_400  # seconds
KEPT = 1_000  # ids in completed and in failed
REMEMBERED = 7 * 86_400  # seconds
_POP = """
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 1)
if #found == 0 then return false end
redis.call('ZREM', KEYS[1], found[1])
redis.call('ZADD', KEYS[2], ARGV[1], found[1])
return found[1]
"""


class MailQueue:
    """Every method is a hint that may get lost: none of them raises when Redis is away."""

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._pop = store.script(_POP)
        self._queues = {name: store.key("queue", name) for name in ("pending", "processing", "completed", "failed")}

    def offer(self, message: Message) -> None:
        """A message waits for a worker, from its due time on."""
        if message.due_at is None:
            self._quietly(lambda client: client.zrem(self._queues["pending"], message.id))
            self._tell(message.id, message.state, message.attempts)
            return
        due = message.due_at.replace(tzinfo=timezone.utc).timestamp() - (URGENT_LEAD if message.urgent else 0)
        self._quietly(lambda client: client.zadd(self._queues["pending"], {str(message.id): due}))
        self._tell(message.id, message.state, message.attempts)

    def next(self) -> int | None:
        """The id of a message that is due, perhaps; None when there is none, or Redis is away."""
        try:
            found = self._pop([self._queues["pending"], self._queues["processing"]], [time.time()])
        except (RedisAway, redis.ResponseError):
            return None
        return int(found) if found else None

    def drop(self, message_id: int) -> None:
        """What `next` gave is not to be worked on after all."""
        self._quietly(lambda client: client.zrem(self._queues["processing"], message_id))

    def moved(self, message_id: int, state: str, attempts: int) -> None:
        """A message has come to another state."""
        kept = {State.COMPLETED.value: "completed", State.FAILED.value: "failed"}.get(state)

        def step(client: redis.Redis) -> None:
            pipe = client.pipeline()
            pipe.zrem(self._queues["processing"], message_id)
            if kept:
                pipe.lpush(self._queues[kept], message_id)
                pipe.ltrim(self._queues[kept], 0, KEPT - 1)
            pipe.execute()

        self._quietly(step)
        self._tell(message_id, state, attempts)

    def forget(self, message_ids: list[int]) -> int:
        """Remove every trace of these messages; returns how many keys went. Raises RedisAway: an erasure must not
        pretend."""

        def step(client: redis.Redis) -> int:
            pipe = client.pipeline()
            for message_id in message_ids:
                pipe.zrem(self._queues["pending"], message_id)
                pipe.zrem(self._queues["processing"], message_id)
                pipe.lrem(self._queues["completed"], 0, str(message_id))
                pipe.lrem(self._queues["failed"], 0, str(message_id))
                pipe.delete(*(self._key(message_id, field) for field in ("status", "attempts", "last_attempt")))
            return sum(int(result) for result in pipe.execute())

        return self._store.call(step) if message_ids else 0

    def lengths(self) -> Mapping[str, int] | None:
        """How many are in each queue; None when Redis is away."""

        def step(client: redis.Redis) -> list[int]:
            pipe = client.pipeline()
            pipe.zcard(self._queues["pending"])
            pipe.zcard(self._queues["processing"])
            pipe.llen(self._queues["completed"])
            pipe.llen(self._queues["failed"])
            return [int(result) for result in pipe.execute()]

        try:
            return dict(zip(("pending", "processing", "completed", "failed"), self._store.call(step), strict=True))
        except RedisAway:
            return None

    def is_up(self) -> bool:
        """Whether Redis answers."""
        return self._store.is_up()

    def _tell(self, message_id: int, state: str, attempts: int) -> None:
        def step(client: redis.Redis) -> None:
            pipe = client.pipeline()
            pipe.set(self._key(message_id, "status"), str(State(state).value), ex=REMEMBERED)
            pipe.set(self._key(message_id, "attempts"), attempts, ex=REMEMBERED)
            pipe.set(self._key(message_id, "last_attempt"), datetime.now(timezone.utc).isoformat(), ex=REMEMBERED)
            pipe.execute()

        self._quietly(step)

    def _key(self, message_id: int, field: str) -> str:
        return self._store.key(message_id, field)

    def _quietly(self, step: Callable[[redis.Redis], Any]) -> None:
        try:
            self._store.call(step)
        except RedisAway as away:
            logger.debug("queue not told", extra={"reason": away.reason})
