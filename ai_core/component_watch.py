"""Looks at the components of this host now and then, and says when one goes down and when it is back.

A component counts as unhealthy once two looks in a row found it down. What was found last is in the database, so that
several processes on one host say it once; while the database is away each process goes by what it saw itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import peewee

from ai_core.storage import ComponentState
from common.database import connection
from common.health import Check, Status, run_checks

logger = logging.getLogger(__name__)

LOOK_EVERY = 15.0  # seconds
UNHEALTHY_AFTER = 2  # looks in a row

Emit = Callable[[str, dict[str, Any]], None]


class ComponentWatch:
    """`look` is a regular job of one `host`."""

    def __init__(
        self, database: peewee.Database, host: str, checks: Mapping[str, Callable[[], Check]], emit: Emit
    ) -> None:
        self._database = database
        self._host = host[:100]
        self._checks = checks
        self._emit = emit
        self._downs: dict[str, int] = {}  # by component, of the last look
        self._saved = True

    def look(self) -> None:
        """Run every check, and emit component.unhealthy or component.recovered for each that changed."""
        if self._saved:
            self._read()
        for name, check in run_checks(self._checks).checks.items():
            before = self._downs.get(name, 0)
            self._downs[name] = before + 1 if check.status is Status.DOWN else 0
            if self._downs[name] == UNHEALTHY_AFTER:
                self._say("component.unhealthy", name, check)
            elif before >= UNHEALTHY_AFTER and self._downs[name] == 0:
                self._say("component.recovered", name, check)
        self._write()

    def _say(self, event: str, name: str, check: Check) -> None:
        logger.warning(event, extra={"component": name, "detail": check.detail})
        self._emit(event, {"host": self._host, "component": name, "detail": check.detail})

    def _read(self) -> None:
        try:
            with connection(self._database):
                rows = list(ComponentState.select().where(ComponentState.host == self._host))
        except (peewee.OperationalError, peewee.InterfaceError):
            return  # a check of the database says so itself
        self._downs = {row.name: row.downs for row in rows}

    def _write(self) -> None:
        try:
            with connection(self._database), self._database.atomic():
                ComponentState.delete().where(ComponentState.host == self._host).execute()
                for name, downs in self._downs.items():
                    ComponentState.insert(host=self._host, name=name, downs=downs).execute()
            self._saved = True
        except (peewee.OperationalError, peewee.InterfaceError):
            self._saved = False  # until then memory is newer than the database
