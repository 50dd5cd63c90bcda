"""Sums of what was used: by day and key for good, by hour as long as the requests themselves are kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, time, timedelta
from typing import Any

import peewee
from peewee import fn

from ai_core.storage import RequestUsage, UsageDay, utc_now
from common.database import connection

NO_KEY = 0
DAY = timedelta(days=1)
HOURS_AT_MOST = 14 * 24
DAYS_AT_MOST = 3 * 366


@dataclass(frozen=True, slots=True)
class Sums:
    """`seconds` is the time of all answers together."""

    requests: int = 0
    errors: int = 0
    cached: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, values: Iterable[Any]) -> Sums:
        """From a row of the database, whose sums may be decimals or null."""
        requests, errors, cached, prompt, completion, seconds = (value or 0 for value in values)
        return cls(int(requests), int(errors), int(cached), int(prompt), int(completion), float(seconds))

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, part.name) + getattr(other, part.name) for part in fields(Sums)))


def roll_up(database: peewee.Database) -> None:
    """Bring UsageDay up to date: every day since the last one in it, which may have been half over then."""
    with connection(database):
        for day in _days_to_sum():
            rows = [
                {"day": day, "key_id": row[0] or NO_KEY, **asdict(Sums.of(row[1:]))}
                for row in _sums_of(day, RequestUsage.key_id)
            ]
            if not rows:
                continue  # nothing happened, or retention has taken the requests: their sum stays
            with database.atomic():
                UsageDay.delete().where(UsageDay.day == day).execute()
                for chunk in peewee.chunked(rows, 100):
                    UsageDay.insert_many(chunk).execute()


def forget_before(database: peewee.Database, days: int) -> int:
    """Sum up, then delete the requests of whole days that lie more than `days` days back; returns how many."""
    roll_up(database)
    with connection(database):
        cut = datetime.combine(utc_now().date() - days * DAY, time())
        return int(RequestUsage.delete().where(RequestUsage.at < cut).execute())


def by_day(first: date, last: date, key_id: int | None = None) -> dict[date, Sums]:
    """Sums of each day from `first` to `last` on which there was something. Today and yesterday are exact."""
    since = utc_now().date() - DAY
    columns = [fn.SUM(getattr(UsageDay, part.name)) for part in fields(Sums)]
    query = UsageDay.select(UsageDay.day, *columns).where(UsageDay.day.between(first, min(last, since - DAY)))
    if key_id is not None:
        query = query.where(UsageDay.key_id == key_id)
    rows: Any = query.group_by(UsageDay.day).tuples()
    sums = {row[0]: Sums.of(row[1:]) for row in rows}
    for day in _days(max(first, since), last):
        found = list(_sums_of(day, key_id=key_id))
        if found and found[0][0]:
            sums[day] = Sums.of(found[0])
    return sums


def by_hour(first: datetime, last: datetime, key_id: int | None = None) -> dict[datetime, Sums]:
    """Sums of each hour from `first` to `last` in which there was something, as far as requests are kept."""
    hour = RequestUsage._meta.database.truncate_date("hour", RequestUsage.at)
    query = RequestUsage.select(hour, *_columns()).where(RequestUsage.at.between(first, last))
    if key_id is not None:
        query = query.where(RequestUsage.key_id == key_id)
    rows: Any = query.group_by(hour).tuples()
    return {_moment(row[0]): Sums.of(row[1:]) for row in rows}


def _days_to_sum() -> Iterator[date]:
    last = UsageDay.select(fn.MAX(UsageDay.day)).scalar()
    oldest = RequestUsage.select(fn.MIN(RequestUsage.at)).scalar()
    if oldest is None:
        return iter(())
    begin = oldest.date() if last is None else max(oldest.date(), last - DAY)
    return _days(max(begin, utc_now().date() - DAYS_AT_MOST * DAY), utc_now().date() + DAY)


def _days(first: date, last: date) -> Iterator[date]:
    return (first + at * DAY for at in range((last - first).days + 1))


def _sums_of(day: date, *groups: Any, key_id: int | None = None) -> Iterator[tuple[Any, ...]]:
    begin = datetime.combine(day, time())
    query = RequestUsage.select(*groups, *_columns()).where(
        (RequestUsage.at >= begin) & (RequestUsage.at < begin + DAY)
    )
    if key_id is not None:
        query = query.where(RequestUsage.key_id == key_id)
    return iter(query.group_by(*groups).tuples() if groups else query.tuples())


def _columns() -> list[Any]:
    """In the order of the fields of Sums."""
    return [
        fn.COUNT(RequestUsage.id),
        fn.COUNT(RequestUsage.error),  # counts what is not null
        fn.COALESCE(fn.SUM(peewee.Case(None, ((RequestUsage.cached == True, 1),), 0)), 0),  # noqa: E712 - SQL
        fn.COALESCE(fn.SUM(RequestUsage.prompt_tokens), 0),
        fn.COALESCE(fn.SUM(RequestUsage.completion_tokens), 0),
        fn.COALESCE(fn.SUM(RequestUsage.seconds), 0.0),
    ]


def _moment(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
