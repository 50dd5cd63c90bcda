"""Regular jobs, each run once even where several processes run the same scheduler.

APScheduler 3.x says when; a row in the database says who. Time is cut into slots (a day, or `seconds`); whoever changes
the row to the current slot first runs the job, the others find it taken. While a job runs its process renews a lease,
so that a long run is not joined by a second one, and a killed process holds nobody up for longer than the lease.
Assume nevertheless that a job may run twice: a process may be suspended for longer than its lease.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import peewee
from apscheduler.schedulers.background import BackgroundScheduler  # type: ignore[import-untyped]
from apscheduler.triggers.cron import CronTrigger  # type: ignore[import-untyped]
from apscheduler.triggers.interval import IntervalTrigger  # type: ignore[import-untyped]

from common.database import Migration, connection, migrate

logger = logging.getLogger(__name__)

LEASE = 60.0  # seconds
LEASES = "leases"  # the job that renews them
FIRST_LOOK = 30.0  # seconds after the start: what fell due while nobody ran is caught up then

_TABLE = """CREATE TABLE IF NOT EXISTS job_run (
  service VARCHAR(40) NOT NULL, name VARCHAR(60) NOT NULL, slot DOUBLE PRECISION NOT NULL, holder VARCHAR(32),
  leased_until DOUBLE PRECISION NOT NULL, started_at DOUBLE PRECISION, finished_at DOUBLE PRECISION,
  outcome VARCHAR(20), PRIMARY KEY (service, name))"""


@dataclass(frozen=True, slots=True)
class JobRun:
    """The last run of a job. `outcome` is running, ok or failed; a run whose process died stays running."""

    name: str
    started_at: datetime
    finished_at: datetime | None
    outcome: str


class Scheduler:
    """Jobs of one `service`, in threads of their own. A job opens its own connection to the database."""

    def __init__(self, database: peewee.Database, service: str, *, first_look: float = FIRST_LOOK) -> None:
        self._database = database
        self._service = service
        self._first_look = first_look
        self._holder = secrets.token_hex(8)
        self._running: set[str] = set()  # its lock guards it
        self._lock = threading.Lock()
        self._has_table = False
        self.stopping = threading.Event()  # a long job may look at it
        self._scheduler = BackgroundScheduler(
            timezone=timezone.utc, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        )
        self._scheduler.add_job(self._renew, IntervalTrigger(seconds=LEASE / 3, timezone=timezone.utc), name=LEASES)

    def every(
        self, name: str, seconds: float, function: Callable[[], object], *, even_without_database: bool = False
    ) -> None:
        """Run `function` once in every `seconds`, from soon after the start. While the database is away it waits, or,
        `even_without_database`, every process runs it."""
        run = partial(self._run, name, function, lambda: float(time.time() // seconds), True, even_without_database)
        self._add_interval(name, seconds, run)

    def every_process(self, name: str, seconds: float, function: Callable[[], object]) -> None:
        """Run `function` every `seconds` in this process, whatever others do: for what a process has of its own."""
        self._add_interval(name, seconds, partial(_guarded, name, function))

    def _add_interval(self, name: str, seconds: float, run: Callable[[], object]) -> None:
        trigger = IntervalTrigger(seconds=seconds, timezone=timezone.utc)
        self._scheduler.add_job(run, trigger, name=name, next_run_time=_soon(min(seconds, self._first_look)))

    def daily(self, name: str, at: str, function: Callable[[], object]) -> None:
        """Run `function` each day `at` HH:MM, UTC. A day that was missed is caught up at the next start."""
        moment = datetime.strptime(at, "%H:%M")
        after_midnight = timedelta(hours=moment.hour, minutes=moment.minute)

        def slot() -> float:
            return float((datetime.now(timezone.utc) - after_midnight).toordinal())

        # The very first look finds no row and only notes where it begins; those after a start find what was missed.
        run = partial(self._run, name, function, slot, False)
        trigger = CronTrigger(hour=moment.hour, minute=moment.minute, timezone=timezone.utc)
        self._scheduler.add_job(run, trigger, name=name, next_run_time=_soon(self._first_look))

    @property
    def jobs(self) -> set[str]:
        """The names of the jobs."""
        return {job.name for job in self._scheduler.get_jobs()} - {LEASES}

    def start(self) -> None:
        """Make the table and begin. Raises peewee.OperationalError where the database does not answer."""
        self._make_table()
        self._scheduler.start()

    def _make_table(self) -> None:
        if not self._has_table:
            table = Migration("0001_job_run", lambda database: database.execute_sql(_TABLE))
            migrate(self._database, "scheduler", [table])
            self._has_table = True

    def stop(self) -> None:
        """Begin no more jobs, and wait for those that run: `stopping` tells them."""
        self.stopping.set()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)

    def runs(self) -> list[JobRun]:
        """The last run of each job, by whichever process, also before this one starts."""
        self._make_table()
        with connection(self._database):
            rows = self._sql(
                "SELECT name, started_at, finished_at, outcome FROM job_run "
                "WHERE service = ? AND started_at IS NOT NULL ORDER BY name",
                self._service,
            ).fetchall()
        return [
            JobRun(name, _moment(started), finished and _moment(finished), how) for name, started, finished, how in rows
        ]

    # -- who runs a job -----------------------------------------------------------------------------------------------

    def _run(
        self,
        name: str,
        function: Callable[[], object],
        slot: Callable[[], float],
        due_when_new: bool,
        even_without_database: bool = False,
    ) -> None:
        if self.stopping.is_set():
            return
        try:
            if not self._claim(name, slot(), due_when_new):
                return
        except peewee.PeeweeException as error:
            logger.warning("job not claimed: the database is away", extra={"job": name, "reason": type(error).__name__})
            if even_without_database:
                _guarded(name, function)
            return
        with self._lock:
            self._running.add(name)
        outcome = _guarded(name, function)
        with self._lock:
            self._running.discard(name)
        self._release(name, outcome)

    def _claim(self, name: str, slot: float, due_when_new: bool) -> bool:
        now = time.time()
        with connection(self._database):
            self._sql(
                "INSERT INTO job_run (service, name, slot, leased_until) VALUES (?, ?, ?, 0) ON CONFLICT DO NOTHING",
                *(self._service, name, slot - 1 if due_when_new else slot),
            )
            # A slot or a lease far in the future is no reason to wait for it: the clock was set back.
            claimed = self._sql(
                "UPDATE job_run SET slot = ?, holder = ?, leased_until = ?, started_at = ?, finished_at = NULL, "
                "outcome = 'running' WHERE service = ? AND name = ? AND (slot < ? OR slot > ?) "
                "AND (leased_until < ? OR leased_until > ?)",
                *(slot, self._holder, now + LEASE, now, self._service, name, slot, slot + 1, now, now + 2 * LEASE),
            )
            return bool(claimed.rowcount == 1)

    def _release(self, name: str, outcome: str) -> None:
        try:
            with connection(self._database):
                self._sql(
                    "UPDATE job_run SET leased_until = 0, finished_at = ?, outcome = ? "
                    "WHERE service = ? AND name = ? AND holder = ?",
                    *(time.time(), outcome, self._service, name, self._holder),
                )
        except peewee.PeeweeException as error:  # the lease ends by itself
            logger.warning("job's end not noted", extra={"job": name, "reason": type(error).__name__})

    def _renew(self) -> None:
        with self._lock:
            running = sorted(self._running)
        try:
            with connection(self._database):
                for name in running:
                    self._sql(
                        "UPDATE job_run SET leased_until = ? WHERE service = ? AND name = ? AND holder = ?",
                        *(time.time() + LEASE, self._service, name, self._holder),
                    )
        except peewee.PeeweeException as error:
            logger.warning("leases not renewed", extra={"reason": type(error).__name__})

    def _sql(self, statement: str, *values: object) -> Any:
        if not isinstance(self._database, peewee.SqliteDatabase):
            statement = statement.replace("?", "%s")
        return self._database.execute_sql(statement, values)


def _guarded(name: str, function: Callable[[], object]) -> str:
    """Run one job, which may fail; returns its outcome."""
    try:
        function()
    except Exception:
        logger.exception("job failed", extra={"job": name})
        return "failed"
    return "ok"


def _soon(seconds: float) -> datetime:
    return datetime.now(timezone.utc) + timedelta(seconds=seconds)


def _moment(unix: float) -> datetime:
    return datetime.fromtimestamp(unix, timezone.utc)
