"""A component that goes down is told once, and once when it is back, whichever process looks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import peewee

from ai_core.component_watch import ComponentWatch
from ai_core.storage import open_storage
from common.database import connection
from common.health import Check, Status

UP, DOWN, DEGRADED = Check(Status.OK, "Fine."), Check(Status.DOWN, "Gone."), Check(Status.DEGRADED, "Slow.")


class House:
    """Processes that watch the same components of the same host."""

    def __init__(self, database: peewee.Database, processes: int = 1) -> None:
        self.state = {"model": UP, "redis": UP}
        self.told: list[tuple[str, str]] = []
        self._watches = [ComponentWatch(database, "host", self._checks(), self._emit) for _ in range(processes)]
        self._turn = 0

    def look(self, **changes: Check) -> list[tuple[str, str]]:
        """What the next process tells when it finds this."""
        self.state |= changes
        self.told = []
        self._watches[self._turn % len(self._watches)].look()
        self._turn += 1
        return self.told

    def _checks(self) -> dict[str, Callable[[], Check]]:
        return {name: lambda name=name: self.state[name] for name in self.state}  # type: ignore[misc]

    def _emit(self, event: str, data: dict[str, Any]) -> None:
        self.told.append((event.removeprefix("component."), data["component"]))


def test_two_looks_make_it_unhealthy_and_one_recovers_it(database: peewee.Database) -> None:
    house = House(database)
    assert house.look() == []
    assert house.look(model=DOWN) == []
    assert house.look() == [("unhealthy", "model")]
    assert house.look() == []
    assert house.look(model=DEGRADED) == [("recovered", "model")]
    assert house.look(model=UP) == []


def test_a_short_absence_is_not_told(database: peewee.Database) -> None:
    house = House(database)
    house.look(model=DOWN)
    assert house.look(model=UP) == []


def test_processes_of_one_host_tell_it_once(database: peewee.Database) -> None:
    house = House(database, processes=3)
    house.look(redis=DOWN)
    assert [house.look() for _ in range(4)] == [[("unhealthy", "redis")], [], [], []]
    assert house.look(redis=UP) == [("recovered", "redis")]
    assert house.look() == []


def test_a_restart_does_not_tell_it_again(database: peewee.Database) -> None:
    House(database).look(redis=DOWN)
    first = House(database)
    assert first.look(redis=DOWN) == [("unhealthy", "redis")]
    again = House(database)
    assert again.look(redis=DOWN) == []
    assert again.look(redis=UP) == [("recovered", "redis")]


def test_the_database_itself_may_be_what_is_down(tmp_path: Path) -> None:
    database = open_storage(f"sqlite:///{tmp_path / 'a.sqlite3'}")
    house = House(database)
    house.look()
    with connection(database):
        database.execute_sql("ALTER TABLE component_state RENAME TO away")
    house.look(redis=DOWN)
    assert house.look() == [("unhealthy", "redis")]
    assert house.look() == []
    with connection(database):
        database.execute_sql("ALTER TABLE away RENAME TO component_state")
    assert house.look() == []
    assert house.look(redis=UP) == [("recovered", "redis")]
