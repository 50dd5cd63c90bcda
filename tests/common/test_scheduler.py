"""Jobs run once, whichever process takes them, over SQLite and PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import peewee
import pytest

from common.database import connection, open_database
from common.scheduler import LEASE, Scheduler

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0  # seconds

# Runs `hourly` once and `tick` each second, writes who ran what in which slot, ends when its stdin does.
PROCESS = textwrap.dedent(
    """
    import os, sys
    from common.database import connection, open_database
    from common.scheduler import Scheduler

    database, path = open_database(sys.argv[1]), sys.argv[2]

    def note(name):
        with connection(database):
            slot = database.execute_sql("SELECT slot FROM job_run WHERE name = '%s'" % name).fetchone()[0]
        line = "%s %s %s\\n" % (name, slot, os.getpid())
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, line.encode())

    scheduler = Scheduler(database, "test", first_look=0.5)
    scheduler.every("long", 360000000, lambda: note("long"))
    scheduler.every("tick", 1, lambda: note("tick"))
    scheduler.start()
    print("started", flush=True)
    sys.stdin.read()
    scheduler.stop()
    """
)


def until(condition: object) -> None:
    assert callable(condition)
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.02)


def scheduler_on(url: str) -> Scheduler:
    return Scheduler(open_database(url), "test", first_look=0.0)


def change_row(url: str, assignment: str) -> None:
    database = open_database(url)
    with connection(database):
        database.execute_sql(f"UPDATE job_run SET {assignment}")  # noqa: S608 - the tests' own


def test_three_processes_run_each_slot_once(database_url: str, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, database_url, str(notes)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "started\n"
        until(lambda: notes.exists() and notes.read_text().count("tick") >= 4)
    finally:
        for process in processes:
            process.communicate("")
    lines = [line.split()[:2] for line in notes.read_text().splitlines()]
    assert [name for name, _ in lines].count("long") == 1
    ticks = [slot for name, slot in lines if name == "tick"]
    assert len(ticks) == len(set(ticks))
    assert [process.returncode for process in processes] == [0, 0, 0]


def test_a_job_that_runs_is_not_joined_and_one_whose_process_died_is_taken_over(database_url: str) -> None:
    first, second = scheduler_on(database_url), scheduler_on(database_url)
    begun, go_on, taken_over = threading.Event(), threading.Event(), threading.Event()

    def long_job() -> None:
        begun.set()
        assert go_on.wait(PATIENCE)

    first.every("job", 0.1, long_job)
    first.start()
    assert begun.wait(PATIENCE)
    second.every("job", 0.1, taken_over.set)
    second.start()
    try:
        assert not taken_over.wait(1.0)  # ten slots went by
        change_row(database_url, f"leased_until = {time.time() - 1}")  # nobody renewed: its process is gone
        assert taken_over.wait(PATIENCE)
    finally:
        go_on.set()
        first.stop()
        second.stop()


def test_a_job_that_fails_is_noted_and_run_again(database_url: str) -> None:
    scheduler = scheduler_on(database_url)
    runs: list[int] = []

    def fail() -> None:
        runs.append(1)
        raise ValueError("what a person wrote")

    scheduler.every("broken", 0.1, fail)
    scheduler.start()
    until(lambda: len(runs) >= 2)
    scheduler.stop()
    (run,) = scheduler.runs()
    assert (run.name, run.outcome) == ("broken", "failed")
    assert run.finished_at is not None
    assert run.finished_at >= run.started_at


def test_a_clock_that_was_set_back_holds_no_job_up(database_url: str) -> None:
    scheduler = scheduler_on(database_url)
    ran = threading.Event()
    scheduler.every("job", 0.1, ran.set)
    scheduler.start()
    assert ran.wait(PATIENCE)
    change_row(database_url, f"slot = slot + 100000, leased_until = {time.time() + 1000 * LEASE}")
    ran.clear()
    assert ran.wait(PATIENCE)
    scheduler.stop()


def test_a_daily_job_waits_at_the_very_first_start_and_is_caught_up_after_a_day_off(database_url: str) -> None:
    first = scheduler_on(database_url)
    ran, looked = threading.Event(), threading.Event()
    hour_from_now = time.strftime("%H:%M", time.gmtime(time.time() + 3600))
    first.daily("nightly", hour_from_now, ran.set)
    first.every("other", 3600, looked.set)
    first.start()
    assert looked.wait(PATIENCE)
    first.stop()  # waits for the looks that run
    assert not ran.is_set()

    change_row(database_url, "slot = slot - 1")  # a day went by
    for _ in range(2):
        ran.clear()
        again = scheduler_on(database_url)
        again.daily("nightly", hour_from_now, ran.set)
        again.start()
        if _ == 0:
            assert ran.wait(PATIENCE)
        again.stop()
    assert not ran.is_set()  # once is enough


def test_the_database_may_be_away_for_a_while(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'jobs.sqlite3'}")
    scheduler = Scheduler(database, "test", first_look=0.0)
    ran = threading.Event()
    scheduler.start()
    with connection(database):
        database.execute_sql("ALTER TABLE job_run RENAME TO job_run_away")
    anyway, here = threading.Event(), threading.Event()
    scheduler.every("job", 0.1, ran.set)
    scheduler.every("anyway", 0.1, anyway.set, even_without_database=True)
    scheduler.every_process("here", 0.1, here.set)
    assert anyway.wait(PATIENCE)
    assert here.wait(PATIENCE)
    assert not ran.is_set()
    with connection(database):
        database.execute_sql("ALTER TABLE job_run_away RENAME TO job_run")
    assert ran.wait(PATIENCE)
    scheduler.stop()


def test_what_a_process_has_of_its_own_each_process_looks_after(database_url: str) -> None:
    processes = [scheduler_on(database_url) for _ in range(2)]
    looked = [threading.Event() for _ in processes]
    for scheduler, event in zip(processes, looked, strict=True):
        scheduler.every_process("look", 3600, event.set)
        scheduler.start()
    assert all(event.wait(PATIENCE) for event in looked)
    for scheduler in processes:
        scheduler.stop()


def test_a_wrong_time_of_day_is_refused() -> None:
    scheduler = Scheduler(peewee.SqliteDatabase(":memory:"), "test")
    with pytest.raises(ValueError, match="25:00"):
        scheduler.daily("nightly", "25:00", lambda: None)
