"""Log files by level and day: written, read newest first, purged."""

from __future__ import annotations

import json
import logging
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from common import log_files
from common.log import JsonFormatter
from common.log_files import LEVELS, DayFiles, purgeable, remove, search

TODAY = datetime.now(timezone.utc).date()
NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def write(directory: Path, *records: tuple[datetime, str, str]) -> None:
    """Log `records`: time, level, message."""
    handler = DayFiles(directory, "ai_core")
    handler.setFormatter(JsonFormatter("ai_core"))
    for at, level, message in records:
        number = getattr(logging, level.upper())
        handler.emit(
            logging.makeLogRecord(
                {"msg": message, "levelno": number, "levelname": level.upper(), "created": at.timestamp()}
            )
        )
    handler.close()


def old_file(directory: Path, days: int, level: str = "info", size: int = 10) -> Path:
    path = directory / f"ai_core.{level}.{(TODAY - timedelta(days=days)).isoformat()}.log"
    path.write_bytes(b"x" * size)
    return path


def messages(directory: Path, **options: object) -> list[str]:
    chosen = {"day": NOON.date(), "levels": LEVELS, "limit": 100, **options}
    return [line["message"] for line in search(directory, **chosen).lines]  # type: ignore[arg-type]


def test_each_day_begins_a_file(tmp_path: Path) -> None:
    midnight = datetime(2026, 3, 2, tzinfo=timezone.utc)
    write(tmp_path, (midnight - timedelta(microseconds=1), "info", "yesterday"), (midnight, "info", "today"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ai_core.info.2026-03-01.log",
        "ai_core.info.2026-03-02.log",
    ]


def test_lines_of_all_levels_come_newest_first(tmp_path: Path) -> None:
    second = timedelta(seconds=1)
    write(
        tmp_path, (NOON, "info", "one"), (NOON + second, "error", "two é\ud800"), (NOON + 2 * second, "info", "three")
    )
    assert messages(tmp_path) == ["three", "two é\ud800", "one"]
    assert messages(tmp_path, levels=["error"]) == ["two é\ud800"]
    assert messages(tmp_path, day=NOON.date() + timedelta(days=1)) == []


@pytest.mark.parametrize("limit", [1, 2, 7, 100])
def test_pages_hold_every_line_once(tmp_path: Path, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "_BLOCK", 100)  # lines go over the ends of blocks
    records = [(NOON + timedelta(milliseconds=at // 2), LEVELS[at % 3 + 1], f"line {at}") for at in range(40)]
    write(tmp_path, *records)
    seen: list[str] = []
    before: str | None = None
    while True:
        page = search(tmp_path, day=NOON.date(), levels=LEVELS, limit=limit, before=before)
        seen += [line["message"] for line in page.lines]
        before = page.before
        if before is None:
            break
    assert sorted(seen) == sorted(message for _, _, message in records)


def test_a_request_is_followed_by_its_id(tmp_path: Path) -> None:
    path = tmp_path / "ai_core.info.2026-03-01.log"
    path.write_text("".join(json.dumps({"message": str(at), "request_id": f"r{at % 2}"}) + "\n" for at in range(4)))
    assert messages(tmp_path, request_id="r1") == ["3", "1"]


def test_lines_that_a_full_disk_cut_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "ai_core.info.2026-03-01.log"
    path.write_bytes(b'{"message": "whole"}\n{"message": "cu{"message": "glued"}\n17\n\xff\n{"message": "last"}\n')
    assert messages(tmp_path) == ["last", "whole"]


def test_a_search_is_bounded_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "_BLOCK", 100)
    monkeypatch.setattr(log_files, "READ_AT_MOST", 1000)
    write(tmp_path, *[(NOON + timedelta(seconds=at), "info", f"line {at}") for at in range(100)])
    page = search(tmp_path, day=NOON.date(), levels=LEVELS, limit=1000)
    assert not page.complete
    assert 0 < len(page.lines) < 100
    assert page.lines[0]["message"] == "line 99"


def test_old_files_go_but_never_the_newest_nor_todays(tmp_path: Path) -> None:
    files = [old_file(tmp_path, days) for days in (0, 1, 30, 31, 40, 50)]
    chosen = purgeable(tmp_path, older_than_days=30, keep_latest=4)
    assert [file.path for file in chosen] == files[4:]
    assert remove(chosen) == (2, 20)
    assert remove(chosen) == (0, 0)  # purged twice
    assert sorted(tmp_path.iterdir()) == sorted(files[:4])
    assert [file.path for file in purgeable(tmp_path, older_than_days=0, keep_latest=0)] == files[1:4]


def test_only_the_chosen_levels_are_purged(tmp_path: Path) -> None:
    old_file(tmp_path, 40, "error")
    debug = old_file(tmp_path, 40, "debug")
    assert [f.path for f in purgeable(tmp_path, older_than_days=30, keep_latest=0, levels=["debug"])] == [debug]


def test_what_is_not_a_log_file_is_never_touched(tmp_path: Path) -> None:
    day = (TODAY - timedelta(days=90)).isoformat()
    (tmp_path / "outside").write_text("x")
    (tmp_path / f"ai_core.info.{day}.log").symlink_to(tmp_path / "outside")
    (tmp_path / f"ai_core.warning.{day}.log").mkdir()
    (tmp_path / "ai_core.info.2026-02-30.log").write_text("x")
    (tmp_path / "notes.log").write_text("x")
    assert purgeable(tmp_path, older_than_days=0, keep_latest=0) == []
    assert purgeable(tmp_path / "missing", older_than_days=0, keep_latest=0) == []
    assert search(tmp_path / "missing", day=date(2026, 3, 1), levels=LEVELS, limit=5).lines == []
