"""The breaker: however a loop disguises itself, only so many answers go to one sender, on one subject, in all.

What is over a limit waits until the window moves on; it is not lost. The admissions are rows of the database, so they
hold across workers, restarts, and whatever happens to Redis.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import peewee

from mail_service.storage import Admission, Message, utc_now

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Held(str, Enum):
    """Which limit holds a message."""

    SENDER = "sender_limit"
    SUBJECT = "subject_limit"
    EVERYBODY = "hourly_limit"


@dataclass(frozen=True, slots=True)
class Limits:
    """Answers to one sender in an hour, to one sender on one subject in a day, to everybody in an hour."""

    sender_hour: int
    subject_day: int
    everybody_hour: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: which limit, and when the oldest admission leaves its window."""

    reason: Held
    until: datetime


def admit(database: peewee.Database, message: Message, limits: Limits) -> Wait | None:
    """Count `message` against the limits, once whatever happens later; or say until when it has to wait."""
    with exclusive(database):
        if Message.select().where((Message.id == message.id) & (Message.admitted == True)).exists():  # noqa: E712
            return None
        now = utc_now()
        wait = _over(message, limits, now)
        if wait is None:
            Admission.create(at=now, person=message.person, subject_key=message.subject_key)
            Message.update(admitted=True).where(Message.id == message.id).execute()
        return wait


def forget_old_admissions() -> int:
    """Remove what no window looks back to any more; returns how many."""
    deleted: int = Admission.delete().where(Admission.at < utc_now() - 2 * DAY).execute()
    return deleted


def exclusive(database: peewee.Database) -> Any:
    """A transaction that others of its kind wait for: the count and the row must be one step."""
    if isinstance(database, peewee.SqliteDatabase):
        return database.atomic("IMMEDIATE")
    return _Advisory(database)


class _Advisory:
    def __init__(self, database: peewee.Database) -> None:
        self._database = database
        self._transaction = database.atomic()

    def __enter__(self) -> None:
        self._transaction.__enter__()
        self._database.execute_sql("SELECT pg_advisory_xact_lock(727202)")

    def __exit__(self, *failure: Any) -> Any:
        return self._transaction.__exit__(*failure)


def _over(message: Message, limits: Limits, now: datetime) -> Wait | None:
    windows = (
        (Held.SENDER, Admission.person == message.person, HOUR, limits.sender_hour),
        (
            Held.SUBJECT,
            (Admission.person == message.person) & (Admission.subject_key == message.subject_key),
            DAY,
            limits.subject_day,
        ),
        (Held.EVERYBODY, Admission.id.is_null(False), HOUR, limits.everybody_hour),
    )
    for reason, which, window, limit in windows:
        inside = Admission.select().where(which & (Admission.at > now - window))
        # The one whose leaving makes room, should limits have been lowered meanwhile.
        newest = list(inside.order_by(Admission.at.desc()).limit(limit))
        if len(newest) >= limit:
            return Wait(reason, newest[-1].at + window)
    return None
