"""Requests are noted behind the answers, survive a database that is away, and are summed by day and key."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import peewee
import pytest

from ai_core import usage_sums
from ai_core.people import People
from ai_core.storage import RequestUsage, UsageDay, open_storage, utc_now
from ai_core.usage import Usage, UsageLog
from ai_core.usage_sums import Sums, by_day, by_hour, forget_before, roll_up
from common.database import connection
from common.retired_keys import RetiredKeys

PATIENCE = 20.0  # seconds
DAY = timedelta(days=1)
NOON = utc_now().replace(hour=12, minute=0, second=0, microsecond=0)
SECRETS = ("n" * 40, "o" * 40)


@pytest.fixture
def log(database: peewee.Database) -> Iterator[UsageLog]:
    written = UsageLog(database)
    written.start()
    yield written
    written.stop()


def used(at: datetime, key_id: int | None = 1, **values: object) -> Usage:
    return Usage("webapp", key_id=key_id, at=at, prompt_tokens=10, completion_tokens=5, seconds=0.5, **values)  # type: ignore[arg-type]


def test_rows_arrive_in_order_and_whole(log: UsageLog) -> None:
    for number in range(250):
        log.put(Usage("telegram", key_id=number, person="a" * 32, model="m", finish_reason="stop", cached=True))
    assert log.flush(PATIENCE)
    rows = list(RequestUsage.select().order_by(RequestUsage.id))
    assert [row.key_id for row in rows] == list(range(250))
    assert (rows[0].channel, rows[0].person, rows[0].cached, rows[0].error) == ("telegram", "a" * 32, True, None)


def test_nothing_is_lost_at_a_normal_stop(database: peewee.Database) -> None:
    log = UsageLog(database)
    log.start()
    for _ in range(1000):
        log.put(used(NOON))
    log.stop()
    assert (RequestUsage.select().count(), log.waiting, log.dropped) == (1000, 0, 0)


def test_what_a_client_writes_as_channel_cannot_stop_the_rows(log: UsageLog) -> None:
    log.put(Usage("x" * 500))
    log.put(Usage("a\0b", model="m" * 999))
    assert log.flush(PATIENCE)
    assert sorted(row.channel for row in RequestUsage.select()) == ["ab", "x" * 40]


def test_rows_wait_while_the_database_is_away_and_the_oldest_go_first(tmp_path: Path) -> None:
    database = open_storage(f"sqlite:///{tmp_path / 'a.sqlite3'}")
    with connection(database):
        database.execute_sql("ALTER TABLE request_usage RENAME TO away")
    log = UsageLog(database, capacity=5)
    log.start()
    for number in range(12):
        log.put(used(NOON, key_id=number))
    until = time.monotonic() + PATIENCE
    while log.dropped < 7 and time.monotonic() < until:
        time.sleep(0.01)
    with connection(database):
        database.execute_sql("ALTER TABLE away RENAME TO request_usage")
    assert log.flush(PATIENCE)
    with connection(database):
        assert [row.key_id for row in RequestUsage.select().order_by(RequestUsage.id)] == [7, 8, 9, 10, 11]
    log.stop()
    assert log.dropped == 7


def test_a_stop_while_the_database_is_away_comes_to_an_end(tmp_path: Path) -> None:
    database = open_storage(f"sqlite:///{tmp_path / 'a.sqlite3'}")
    with connection(database):
        database.execute_sql("DROP TABLE request_usage")
    log = UsageLog(database)
    log.start()
    log.put(used(NOON))
    log.stop(timeout=0.2)
    assert log.waiting == 1


def test_days_are_summed_by_key_once_and_again(log: UsageLog, database: peewee.Database) -> None:
    for at, key_id in ((NOON - 3 * DAY, 1), (NOON - 3 * DAY, 1), (NOON - 3 * DAY, 2), (NOON - DAY, None)):
        log.put(used(at, key_id))
    log.put(used(NOON - DAY, None, error="rate_limited"))
    assert log.flush(PATIENCE)
    for _ in range(2):
        roll_up(database)
        assert [(row.key_id, row.requests, row.errors) for row in UsageDay.select().order_by(UsageDay.day)] == [
            (1, 2, 0),
            (2, 1, 0),
            (usage_sums.NO_KEY, 2, 1),
        ]
    log.put(used(NOON - DAY, None))  # came late
    assert log.flush(PATIENCE)
    roll_up(database)
    assert UsageDay.get(UsageDay.key_id == usage_sums.NO_KEY).requests == 3
    first = (NOON - 3 * DAY).date()
    assert by_day(first, NOON.date())[first] == Sums(3, 0, 0, 30, 15, 1.5)
    assert by_day(first, NOON.date(), key_id=2)[first].requests == 1


def test_sums_outlive_the_requests(log: UsageLog, database: peewee.Database) -> None:
    log.put(used(NOON - 10 * DAY))
    log.put(used(NOON - 2 * DAY))
    assert log.flush(PATIENCE)
    assert forget_before(database, 5) == 1
    assert forget_before(database, 5) == 0
    roll_up(database)
    assert [row.requests for row in UsageDay.select()] == [1, 1]
    days = by_day((NOON - 30 * DAY).date(), NOON.date())
    assert sum(days.values(), Sums()).requests == 2


def test_today_is_exact_without_waiting_for_the_job(log: UsageLog) -> None:
    log.put(used(NOON))
    log.put(used(NOON - DAY))
    assert log.flush(PATIENCE)
    assert by_day((NOON - DAY).date(), NOON.date()) == {
        (NOON - DAY).date(): Sums(1, 0, 0, 10, 5, 0.5),
        NOON.date(): Sums(1, 0, 0, 10, 5, 0.5),
    }


def test_hours_are_summed(log: UsageLog) -> None:
    for minutes, key_id in ((0, 1), (59, 1), (60, 2)):
        log.put(used(NOON + timedelta(minutes=minutes), key_id))
    assert log.flush(PATIENCE)
    hours = by_hour(NOON, NOON + timedelta(hours=3))
    assert {hour: sums.requests for hour, sums in hours.items()} == {NOON: 2, NOON + timedelta(hours=1): 1}
    assert list(by_hour(NOON, NOON + timedelta(hours=3), key_id=2)) == [NOON + timedelta(hours=1)]


def test_a_person_is_exported_and_erased_whatever_secret_was_current(log: UsageLog, database: peewee.Database) -> None:
    forgotten: list[str] = []

    def forget(person: str) -> int:
        forgotten.append(person)
        return 1

    before = People(SECRETS[1:], log, {}, RetiredKeys(database, SECRETS[1:]))
    people = People(SECRETS, log, {"cached_answers": forget}, RetiredKeys(database, SECRETS))
    for who in (before, people):
        log.put(Usage("telegram", person=who.hash_of("telegram", "42"), prompt_tokens=7))
    log.put(Usage("telegram", person=people.hash_of("telegram", "43")))
    assert [row["prompt_tokens"] for row in people.export("telegram", "42")] == [7, 7]
    assert people.erase("telegram", "42") == {"requests": 2, "cached_answers": 2}
    assert len(set(forgotten)) == 2
    assert people.export("telegram", "42") == []
    assert people.erase("telegram", "42")["requests"] == 0
    assert len(people.export("telegram", "43")) == 1
    assert RequestUsage.select().count() == 3  # nobody's any more, but still in the sums


def test_a_person_is_erased_when_the_secret_that_hashed_them_is_gone(log: UsageLog, database: peewee.Database) -> None:
    old = People(SECRETS[1:], log, {}, RetiredKeys(database, SECRETS[1:]))
    log.put(Usage("telegram", person=old.hash_of("telegram", "42"), prompt_tokens=7))
    assert log.flush(PATIENCE)
    assert RetiredKeys(database, SECRETS).retire(SECRETS[1:]) == 1
    people = People(SECRETS[:1], log, {}, RetiredKeys(database, SECRETS[:1]))
    assert [row["prompt_tokens"] for row in people.export("telegram", "42")] == [7]
    assert people.erase("telegram", "42") == {"requests": 1}


def test_no_id_is_stored(log: UsageLog, database: peewee.Database) -> None:
    people = People(SECRETS, log, {}, RetiredKeys(database, SECRETS))
    log.put(Usage("mail", person=people.hash_of("mail", "paul.durand@example.org")))
    assert log.flush(PATIENCE)
    assert "durand" not in str(list(RequestUsage.select().tuples()))
