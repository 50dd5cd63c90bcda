"""Everything that the service holds of one person: exported, erased; and forgotten by itself when its time is over."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import peewee

from common.ai_client import AiAway, AiClient, AiRefused
from common.database import connection
from telegram_service.history import Lane
from telegram_service.limits import MessageLimits
from telegram_service.mailbox import Mailbox
from telegram_service.people import CHANNEL, People, settings_key
from telegram_service.replies import Replies
from telegram_service.storage import Person, Turn, Usage
from telegram_service.tables import utc_now

logger = logging.getLogger(__name__)

KEY_REFUSED = ("ai_401", "ai_403")
REPLIES_KEPT = timedelta(days=2)  # Telegram repeats an update for a day


@dataclass(frozen=True, slots=True)
class Erased:
    """How many things went; `everywhere`: at the AI core, too."""

    items: int
    everywhere: bool


class PersonalData:
    """Finds people by their Telegram ids. Raises peewee's errors, RedisAway, and AiAway for what the AI core holds."""

    def __init__(
        self,
        database: peewee.Database,
        people: People,
        mailbox: Mailbox,
        replies: Replies,
        limits: MessageLimits,
        ai: AiClient,
        forget_keys: Callable[[int, list[str]], int],
    ) -> None:
        self._database = database
        self._people = people
        self._mailbox = mailbox
        self._replies = replies
        self._limits = limits
        self._ai = ai
        self._forget_keys = forget_keys

    def export(self, user: int, *, here: bool = False) -> Mapping[str, Any]:
        """What is stored about a person, readable; `ai_core` is null where the AI core did not tell, or, for what is
        `here` alone, was not asked."""
        person = self._people.hashes_of(user)
        with connection(self._database):
            row = Person.get_or_none(Person.person.in_(person))
            turns = Turn.select().where(Turn.person.in_(person)).order_by(Turn.id)
            usage = Usage.select().where(Usage.person.in_(person)).order_by(Usage.id)
            told: dict[str, Any] = {
                "telegram_id": user,
                "person": None if row is None else _person(row),
                "conversations": [
                    {"at": turn.at.isoformat(), "question": turn.question, "answer": turn.answer} for turn in turns
                ],
                "questions": [_usage(one) for one in usage],
            }
        return {**told, "ai_core": None if here else self._at_ai_core(user)}

    def erase(self, user: int, *, but: int | None = None, here: bool = False) -> Erased:
        """Remove all of it, in the database, in Redis and, unless only what is `here` is meant, at the AI core. May
        be repeated. `but` is the update that asks for it."""
        at_ai_core = None if here else self._erase_at_ai_core(user)
        erased = at_ai_core or 0
        erased += self._mailbox.forget(user, but=but)
        self._limits.forget(user)
        lane = Lane(user)
        erased += self._forget_keys(user, [lane.history_key, lane.session_key, settings_key(user)])
        person = self._people.hashes_of(user)
        for one in person:
            erased += self._replies.forget(one)
        with connection(self._database), self._database.atomic():
            for table in (Turn, Usage, Person):
                erased += table.delete().where(table.person.in_(person)).execute()
        logger.info("person erased", extra={"items": erased})
        return Erased(int(erased), at_ai_core is not None)

    def forget_old(self, keep: timedelta) -> int:
        """Remove conversations and usage of longer than `keep` ago, people who did not write since, and old replies;
        returns how many things went."""
        before = utc_now() - keep
        gone = self._replies.purge(utc_now() - REPLIES_KEPT)
        with connection(self._database), self._database.atomic():
            gone += Turn.delete().where(Turn.at < before).execute()
            gone += Usage.delete().where(Usage.at < before).execute()
            gone += Person.delete().where((Person.last_seen_at < before) & ~Person.blocked).execute()
        return int(gone)

    def _erase_at_ai_core(self, user: int) -> int | None:
        """How many things went; None where our key has no right to that."""
        try:
            return sum(int(number) for number in self._ai.erase(CHANNEL, str(user)).values())
        except AiRefused as refused:
            reason = f"ai_{refused.status}"
        except AiAway as away:
            if away.reason not in KEY_REFUSED:
                raise
            reason = away.reason
        # The key's scope is the operator's to mend; what is ours goes all the same.
        logger.error("not erased at the AI core", extra={"reason": reason})
        return None

    def _at_ai_core(self, user: int) -> Mapping[str, Any] | None:
        try:
            return self._ai.export(CHANNEL, str(user))
        except (AiAway, AiRefused) as error:
            logger.warning("not exported from the AI core", extra={"reason": type(error).__name__})
            return None


def _person(row: Person) -> Mapping[str, Any]:
    return {
        "first_seen_at": row.first_seen_at.isoformat(),
        "last_seen_at": row.last_seen_at.isoformat(),
        "messages": row.messages,
        "preferences": row.preferences,
        "blocked": row.blocked,
    }


def _usage(row: Usage) -> Mapping[str, Any]:
    return {
        "at": row.at.isoformat(),
        "outcome": row.outcome,
        "model": row.model,
        "seconds": row.seconds,
        "tokens": row.tokens,
        "rating": row.rating,
    }
