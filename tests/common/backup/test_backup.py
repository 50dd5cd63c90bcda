"""Making archives: while the host works, with room or not, alone, and again after a kill."""

from __future__ import annotations

import fcntl
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from common.backup import metrics
from common.backup.__main__ import main
from common.backup.backup import Part, make, require_room
from common.backup.errors import BackupError
from common.backup.keeping import archives, prune
from common.backup.plan import Plan
from common.backup.seal import opened
from common.backup.target import fetch, send
from tests.common.backup.host import Host
from tests.waiting import until

NOW = datetime(2026, 11, 21, tzinfo=timezone.utc)


def kept(folder: Path, days: int, host: str = "tout-en-un") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{host}-{NOW - timedelta(days=days):%Y%m%dT%H%M%SZ}.tar.gz.age"
    path.write_bytes(b"archive")
    return path


def test_a_database_is_copied_as_of_one_moment_while_it_is_written(host: Host, tmp_path: Path) -> None:
    stop = threading.Event()
    rounds: list[int] = []

    def write() -> None:
        with closing(sqlite3.connect(host.database, isolation_level=None)) as connection:
            connection.execute("CREATE TABLE pair (a INTEGER, b INTEGER)")
            while not stop.is_set():
                rounds.append(1)
                connection.execute("INSERT INTO pair VALUES (?, ?)", (len(rounds), -len(rounds)))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        until(lambda: len(rounds) > 20)
        archive = make(Plan.read(host.plan()), print)
    finally:
        stop.set()
        writer.join()
    opened(archive, host.identity, tmp_path / "plain.tar.gz")
    subprocess.run(["tar", "-xzf", tmp_path / "plain.tar.gz", "-C", tmp_path, "databases/ai_core.sqlite3"], check=True)
    with closing(sqlite3.connect(tmp_path / "databases" / "ai_core.sqlite3")) as copy:
        assert copy.execute("SELECT count(*) > 20, sum(a + b) FROM pair").fetchone() == (1, 0)


def test_a_dry_run_says_what_there_is_and_makes_nothing(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--plan", str(host.plan()), "run", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("database ai_core", "database mail_service", "Redis", str(host.etc)))
    assert list(host.archives.glob("*")) == []


def test_without_room_nothing_begins(host: Host) -> None:
    with pytest.raises(BackupError, match="are free"):
        require_room(Plan.read(host.plan()), [Part("database ai_core", 10**18)])


def test_a_database_that_is_away_leaves_no_archive(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.database.unlink()
    assert main(["--plan", str(host.plan()), "run"]) == 1
    assert "is not there" in capsys.readouterr().err
    assert list(host.archives.glob("*.age")) == []


def test_a_damaged_database_is_not_kept_as_if_it_were_well(host: Host) -> None:
    with closing(sqlite3.connect(host.database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(host.database.read_bytes())
    content[4096:4200] = b"\xff" * 104
    host.database.write_bytes(content)
    assert main(["--plan", str(host.plan()), "run"]) == 1
    assert list(host.archives.glob("*.age")) == []


def test_a_killed_run_leaves_no_archive_and_the_next_one_clears_up(host: Host) -> None:
    pipe = host.data / "never-ends"
    with pipe.open("wb") as file:
        file.truncate(3 << 30)  # zeros, for long enough
    command = [sys.executable, "-m", "common.backup", "--plan", str(host.plan()), "run"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    until(lambda: any(path.stat().st_size for path in host.archives.glob(".*.partial")))
    process.kill()
    process.wait()
    assert list(host.archives.glob("*.age")) == []
    assert (host.archives / ".staging").exists()
    pipe.unlink()
    assert main(["--plan", str(host.plan()), "run"]) == 0
    assert len(list(host.archives.glob("*.age"))) == 1
    assert not list(host.archives.glob(".*.partial"))
    assert not (host.archives / ".staging").exists()


def test_two_runs_at_once_are_one(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.archives.mkdir()
    with (host.archives / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(["--plan", str(host.plan()), "run"]) == 1
    assert "another backup" in capsys.readouterr().err


def test_a_recipient_that_is_no_key_is_said_and_leaves_nothing(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--plan", str(host.plan(recipients=["age1nonsense"])), "run"]) == 1
    assert "age" in capsys.readouterr().err
    assert not list(host.archives.glob("*.age")) + list(host.archives.glob(".*.partial"))


def test_old_archives_go_but_never_the_last(tmp_path: Path) -> None:
    kept(tmp_path, 90)
    newest = kept(tmp_path, 60)
    others = kept(tmp_path, 90, "mail")
    prune(tmp_path, "tout-en-un", 30, NOW)
    assert {path for path in tmp_path.iterdir() if path.suffix == ".age"} == {newest, others}
    young, middle = kept(tmp_path, 1), kept(tmp_path, 29)
    prune(tmp_path, "tout-en-un", 30, NOW)
    assert [found.path for found in archives(tmp_path, "tout-en-un")] == [middle, young]


def test_the_target_gets_all_and_loses_only_what_was_removed_here(host: Host, tmp_path: Path) -> None:
    there = tmp_path / "elsewhere"
    there.mkdir()
    plan = Plan.read(host.plan(target=str(there)))
    old, young = kept(host.archives, 90), kept(host.archives, 1)
    send(plan, pause=never)
    assert names(there / plan.host) == {old.name, young.name}
    prune(host.archives, plan.host, 30, NOW)
    send(plan, pause=never)
    assert names(there / plan.host) == {young.name}


def test_the_first_run_of_a_rebuilt_host_empties_no_target(host: Host, tmp_path: Path) -> None:
    there = tmp_path / "elsewhere"
    there.mkdir()
    plan = Plan.read(host.plan(target=str(there)))
    lost = kept(host.archives, 1)
    send(plan, pause=never)
    lost.unlink()
    assert main(["--plan", str(host.plan(target=str(there))), "run"]) == 0
    assert lost.name in names(there / plan.host)
    fetch(plan, pause=never)
    assert lost.is_file()


def test_an_unreachable_target_fails_the_run_and_keeps_the_archive(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("common.backup.target.PAUSE", 0.0)
    figures = host.root / "backup.prom"
    target = "/proc/nowhere"
    assert main(["--plan", str(host.plan(target=target, metrics=str(figures))), "run"]) == 1
    assert len(list(host.archives.glob("*.age"))) == 1
    assert "code_du_travail_backup_target_ok 0" in figures.read_text()
    assert "not sent" in capsys.readouterr().err


def test_monitoring_sees_when_the_newest_archive_was_made(tmp_path: Path) -> None:
    archive = kept(tmp_path, 1)
    metrics.write(tmp_path / "backup.prom", archive, sent=True)
    text = (tmp_path / "backup.prom").read_text()
    assert "code_du_travail_backup_last_success_timestamp_seconds 1" in text
    assert "code_du_travail_backup_size_bytes 7\n" in text


@pytest.mark.parametrize(
    "wrong",
    [{"keys": ["short"]}, {"recipients": []}, {"paths": ["relative"]}, {"keep_days": 0}, {"host": "a/b"}, {"more": 1}],
)
def test_a_wrong_plan_is_refused_without_its_secrets(
    host: Host, wrong: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    plan = host.plan(redis={"host": "h", "port": 1, "password": "hidden", "data": "/", "user": None}, **wrong)
    assert main(["--plan", str(plan), "list"]) == 2
    assert "hidden" not in capsys.readouterr().err


def never(seconds: float) -> None:
    raise AssertionError("it did not work at once")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
