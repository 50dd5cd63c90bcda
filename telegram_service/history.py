"""What was said in a chat before: in the database, with a copy in Redis for when it does not answer.

A conversation ends after SESSION_TIMEOUT of silence, or when somebody begins anew. In Redis (encrypted, expiring with
the session): `user:{id}:session` and `user:{id}:history` for private chats, `chat:{chat}:{topic}:history` for groups.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import peewee
import redis

from common.crypto import Cipher, Undecryptable
from common.database import connection
from common.redis_store import RedisAway, RedisStore
from telegram_service.people import People
from telegram_service.storage import Turn
from telegram_service.tables import utc_now

logger = logging.getLogger(__name__)

MAX_TURN = 8_000  # characters kept of a question or an answer
NOBODY = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """Whose turn it is: a chat and its topic, which in a private chat is the person themself."""

    chat: int
    topic: int = 0

    @property
    def name(self) -> str:
        return f"{self.chat}:{self.topic}"

    @property
    def session_key(self) -> str:
        return f"user:{self.chat}:session" if self.chat > 0 and not self.topic else f"chat:{self.name}:session"

    @property
    def history_key(self) -> str:
        return f"user:{self.chat}:history" if self.chat > 0 and not self.topic else f"chat:{self.name}:history"


class History:
    """For any thread. At most `max_turns` questions with their answers are given back; `timeout` in seconds."""

    def __init__(
        self,
        database: peewee.Database,
        store: RedisStore,
        cipher: Cipher,
        people: People,
        *,
        max_turns: int,
        timeout: int,
    ) -> None:
        self._database = database
        self._store = store
        self._cipher = cipher
        self._people = people
        self._max_turns = max_turns
        self._timeout = timeout

    def turns(self, lane: Lane) -> list[Mapping[str, str]]:
        """The conversation so far, oldest first, as the AI core takes it."""
        try:
            pairs = self._from_database(lane)[1]
        except (peewee.OperationalError, peewee.InterfaceError):
            pairs = self._from_redis(lane)
        found: list[Mapping[str, str]] = []
        for question, answer in pairs[-self._max_turns :] if self._max_turns else []:
            found += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        return found

    def add(self, lane: Lane, person: str, update_id: int, question: str, answer: str) -> None:
        """Keep what was asked and answered, once however often it is told."""
        session = self._session(lane)
        question, answer = question[:MAX_TURN], answer[:MAX_TURN]
        with connection(self._database):
            new = (
                Turn.insert(
                    lane=self._people.lane_hash(lane.name),
                    session=session,
                    person=person,
                    update_id=update_id,
                    question=question,
                    answer=answer,
                )
                .on_conflict_ignore()
                .as_rowcount()
                .execute()
            )
            if new:
                _, pairs = self._from_database(lane)
                self._into_redis(lane, session, pairs)

    def last_question(self, lane: Lane) -> str | None:
        """What was asked last in this conversation."""
        turns = self.turns(lane)
        return turns[-2]["content"] if turns else None

    def drop_last(self, lane: Lane, update_id: int) -> None:
        """Take the last answer out of the conversation, since it is asked for again by update `update_id`."""
        with connection(self._database):
            row = self._newest(lane)
            if row is not None and row.update_id < update_id:
                Turn.delete().where(Turn.id == row.id).execute()
        self._clear(lane, keep_session=True)

    def begin_anew(self, lane: Lane) -> None:
        """What was said stays behind."""
        with connection(self._database):
            Turn.update(session=NOBODY).where(Turn.lane == self._people.lane_hash(lane.name)).execute()
        self._clear(lane)

    def _session(self, lane: Lane) -> str:
        def step(client: redis.Redis) -> Any:
            pipe = client.pipeline()
            pipe.set(lane.session_key, secrets.token_hex(8), ex=self._timeout, nx=True)
            pipe.get(lane.session_key)
            pipe.expire(lane.session_key, self._timeout)
            return pipe.execute()[1]

        with connection(self._database):
            row = self._newest(lane)
        if row is not None:
            return str(row.session)
        try:
            found = self._store.call(step)
        except RedisAway:
            return secrets.token_hex(8)
        return found.decode() if found else secrets.token_hex(8)

    def _newest(self, lane: Lane) -> Turn | None:
        row: Turn | None = (
            Turn.select()
            .where(
                (Turn.lane == self._people.lane_hash(lane.name))
                & (Turn.session != NOBODY)
                & (Turn.at > utc_now() - timedelta(seconds=self._timeout))
            )
            .order_by(Turn.id.desc())
            .first()
        )
        return row

    def _from_database(self, lane: Lane) -> tuple[str, list[tuple[str, str]]]:
        with connection(self._database):
            newest = self._newest(lane)
            if newest is None:
                return NOBODY, []
            rows = (
                Turn.select()
                .where((Turn.lane == newest.lane) & (Turn.session == newest.session))
                .order_by(Turn.id.desc())
                .limit(self._max_turns)
            )
            return str(newest.session), [(row.question, row.answer) for row in reversed(list(rows))]

    def _from_redis(self, lane: Lane) -> list[tuple[str, str]]:
        """The copy, for as long as the database does not answer."""
        try:
            stored: Any = self._store.call(lambda client: client.get(lane.history_key))
            pairs = json.loads(self._cipher.decrypt(stored.decode())) if stored else []
            return [(question, answer) for question, answer in pairs]
        except (RedisAway, Undecryptable, ValueError):
            return []

    def _into_redis(self, lane: Lane, session: str, pairs: list[tuple[str, str]]) -> None:
        kept = self._cipher.encrypt(json.dumps(pairs[-self._max_turns :] if self._max_turns else []))

        def step(client: redis.Redis) -> None:
            pipe = client.pipeline()
            pipe.set(lane.history_key, kept, ex=self._timeout)
            if session:
                pipe.set(lane.session_key, session, ex=self._timeout)
            pipe.execute()

        self._quietly(step)

    def _clear(self, lane: Lane, *, keep_session: bool = False) -> None:
        keys = [lane.history_key, *([] if keep_session else [lane.session_key])]
        self._quietly(lambda client: client.delete(*keys))

    def _quietly(self, step: Callable[[redis.Redis], object]) -> None:
        try:
            self._store.call(step)
        except RedisAway:
            logger.debug("Redis not told")
