"""The people who write to the bot: who they are to us, what they chose, whether they may write, how many there are."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import peewee
import redis

from common.crypto import person_hash
from common.database import connection
from common.redis_store import RedisAway, RedisStore
from common.retired_keys import RetiredKeys
from telegram_service.preferences import Preferences
from telegram_service.storage import Person
from telegram_service.tables import utc_now

logger = logging.getLogger(__name__)

CHANNEL = "telegram"
ACTIVE_SECONDS = 86_400
SETTINGS_SECONDS = 86_400  # that Redis keeps a copy


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """A person as they are known when an update of theirs is worked on. `hash` is what stands for them everywhere."""

    id: int
    hash: str
    preferences: Preferences
    is_noticed: bool
    is_blocked: bool


class People:
    """For any thread. The newest of `secrets` writes hashes, all of them find, and those that are gone. Methods raise
    peewee's errors where the database is away; Redis holds copies only."""

    def __init__(
        self, database: peewee.Database, store: RedisStore, secrets: Sequence[str], retired: RetiredKeys
    ) -> None:
        self._database = database
        self._store = store
        self._secrets = tuple(secrets)
        self._retired = retired

    def hash_of(self, user: int) -> str:
        """What stands for the person with this Telegram id."""
        return person_hash(self._secrets[0], CHANNEL, str(user))

    def hashes_of(self, user: int) -> list[str]:
        """All that may stand for them: rows written before a rotation of the secret carry older ones."""
        own = [person_hash(secret, CHANNEL, str(user)) for secret in self._secrets]
        return own + self._retired.hashes_of(CHANNEL, str(user))

    def lane_hash(self, lane: str) -> str:
        """What stands for a conversation."""
        return person_hash(self._secrets[0], "telegram lane", lane)

    def earlier_lane_hashes(self, lane: str) -> list[str]:
        """What stood for it under the older secrets."""
        return [person_hash(secret, "telegram lane", lane) for secret in self._secrets[1:]]

    def meet(self, user: int, *, again: bool = False) -> Acquaintance:
        """Note that a person wrote, and return what is known of them; `again`: this message of theirs was noted."""
        with connection(self._database):
            row = self._found(user)
            is_new = row is None
            if row is None:
                Person.insert(person=self.hash_of(user), telegram_id=str(user)).on_conflict_ignore().execute()
                row = Person.get(Person.person == self.hash_of(user))
            total = Person.select().count() if is_new else None
            if not again:
                Person.update(last_seen_at=utc_now(), messages=Person.messages + 1, unreachable=False).where(
                    Person.id == row.id
                ).execute()
        if not again:
            self._count(user, total)
        return _acquaintance(user, row)

    def look_up(self, user: int) -> Acquaintance | None:
        """What is known of a person who may not have written now."""
        with connection(self._database):
            row = self._found(user)
        return None if row is None else _acquaintance(user, row)

    def choose(self, user: int, preferences: Preferences) -> None:
        """Keep what a person chose."""
        with connection(self._database):
            Person.update(preferences=preferences.as_json()).where(Person.person.in_(self.hashes_of(user))).execute()
        key = settings_key(user)
        self._quietly(lambda client: client.set(key, preferences.as_json(), ex=SETTINGS_SECONDS))

    def set_noticed(self, user: int) -> None:
        """They were told that this is an AI and what is kept."""
        self._mark(user, noticed=True)

    def set_unreachable(self, user: int) -> None:
        """They blocked the bot: nothing is sent to them until they write again."""
        self._mark(user, unreachable=True)

    def set_blocked(self, user: int, blocked: bool) -> bool:
        """Let the bot ignore a person, or no longer; False for somebody who never wrote."""
        return self._mark(user, blocked=blocked)

    def figures(self) -> tuple[int, int]:
        """How many people there are, and how many of them wrote within the last day."""
        with connection(self._database):
            total = Person.select().count()
            active = Person.select().where(Person.last_seen_at > utc_now() - timedelta(seconds=ACTIVE_SECONDS)).count()
        return total, active

    def _found(self, user: int) -> Person | None:
        for found in self.hashes_of(user):
            row: Person | None = Person.get_or_none(Person.person == found)
            if row is not None:
                return row
        return None

    def _mark(self, user: int, **values: bool) -> bool:
        with connection(self._database):
            return bool(Person.update(**values).where(Person.person.in_(self.hashes_of(user))).execute())

    def _count(self, user: int, total: int | None) -> None:
        def step(client: redis.Redis) -> None:
            now = time.time()
            pipe = client.pipeline(transaction=False)
            pipe.incr("bot:total_messages")
            if total is not None:  # counted anew, since Redis may have lost it, and people may have been erased
                pipe.set("bot:total_users", total)
            pipe.zadd("bot:active_users", {str(user): now})
            pipe.zremrangebyscore("bot:active_users", "-inf", now - ACTIVE_SECONDS)
            pipe.execute()

        self._quietly(step)

    def _quietly(self, step: Callable[[redis.Redis], object]) -> None:
        try:
            self._store.call(step)
        except RedisAway:
            logger.debug("Redis not told")


def _acquaintance(user: int, row: Person) -> Acquaintance:
    return Acquaintance(user, row.person, Preferences.from_json(row.preferences), row.noticed, row.blocked)


def settings_key(user: int) -> str:
    return f"user:{user}:settings"
