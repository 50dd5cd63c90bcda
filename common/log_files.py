"""Log files by service, level and day (UTC): written line by line, read newest first, purged.

Several processes may write one file: each line is one write in append mode.
"""

from __future__ import annotations

import heapq
import json
import logging
import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import IO, Any

LEVELS = ("debug", "info", "warning", "error")  # critical lines stand among the errors
READ_AT_MOST = 32 * 1024 * 1024  # bytes of each file that one search looks at
_BLOCK = 64 * 1024
_NAME = re.compile(r"(?P<service>[a-z_]+)\.(?P<level>debug|info|warning|error)\.(?P<day>\d{4}-\d\d-\d\d)\.log")


class DayFiles(logging.Handler):
    """Writes each record to SERVICE.LEVEL.YYYY-MM-DD.log in `directory`."""

    def __init__(self, directory: Path, service: str) -> None:
        super().__init__()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._service = service
        self._files: dict[str, tuple[date, IO[bytes]]] = {}  # by level; the handler's lock guards it

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + "\n"
            self._file(record).write(line.encode("utf-8", "backslashreplace"))
        except Exception:  # noqa: BLE001 - as logging's own handlers do
            self.handleError(record)

    def close(self) -> None:
        self.acquire()
        try:
            for _, file in self._files.values():
                file.close()
            self._files.clear()
        finally:
            self.release()
        super().close()

    def _file(self, record: logging.LogRecord) -> IO[bytes]:
        level = _level_of(record.levelno)
        day = datetime.fromtimestamp(record.created, timezone.utc).date()
        opened = self._files.get(level)
        if opened is None or opened[0] != day:
            if opened is not None:
                opened[1].close()
            path = self._directory / f"{self._service}.{level}.{day.isoformat()}.log"
            file = open(path, "ab", buffering=0, opener=_private)  # noqa: SIM115 - kept; unbuffered: a line is one write
            self._files[level] = (day, file)
        return self._files[level][1]


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)  # whatever the umask is


def _level_of(number: int) -> str:
    return next((name for name in LEVELS if number <= getattr(logging, name.upper())), LEVELS[-1])


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file; `size` is in bytes."""

    path: Path
    service: str
    level: str
    day: date
    size: int


def log_files(directory: Path) -> list[LogFile]:
    """The log files in `directory`, newest first. What is not a plain file of our own naming is left out."""
    found: list[LogFile] = []
    for path in directory.iterdir() if directory.is_dir() else ():
        name = _NAME.fullmatch(path.name)
        if name is None or path.is_symlink() or not path.is_file():
            continue
        try:
            day, size = date.fromisoformat(name["day"]), path.stat().st_size
        except (ValueError, FileNotFoundError):
            continue  # 2026-02-30, or purged by another process meanwhile
        found.append(LogFile(path, name["service"], name["level"], day, size))
    return sorted(found, key=lambda file: (file.day, file.path.name), reverse=True)


def purgeable(
    directory: Path, *, older_than_days: int, keep_latest: int, levels: Collection[str] = LEVELS
) -> list[LogFile]:
    """The files of these `levels` that are more than `older_than_days` days old, never one of the `keep_latest` newest
    of them, never today's."""
    files = [file for file in log_files(directory) if file.level in levels]
    today = datetime.now(timezone.utc).date()
    return [file for file in files[keep_latest:] if today - file.day > timedelta(days=older_than_days)]


def remove(files: Sequence[LogFile]) -> tuple[int, int]:
    """Remove `files`; returns how many there were, and their bytes."""
    removed, freed = 0, 0
    for file in files:
        try:
            file.path.unlink()
        except FileNotFoundError:
            continue  # another process was faster
        removed, freed = removed + 1, freed + file.size
    return removed, freed


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines, newest first. `before` asks for the next page, None after the last one; `complete` is False where a file
    was too long to look at to its beginning."""

    lines: list[dict[str, Any]]
    before: str | None
    complete: bool


def search(
    directory: Path,
    *,
    day: date,
    levels: Collection[str],
    limit: int,
    request_id: str | None = None,
    before: str | None = None,
) -> LogPage:
    """The newest lines of a day, at most `limit` and those of the same moment as the last one.

    `before` is the time of a line: older ones follow.
    """
    readers = [_Reader(file.path) for file in log_files(directory) if file.day == day and file.level in levels]
    lines: list[dict[str, Any]] = []
    for line in heapq.merge(*readers, key=_time, reverse=True):
        if (before is not None and _time(line) >= before) or (request_id and line.get("request_id") != request_id):
            continue
        if len(lines) >= limit and _time(line) != _time(lines[-1]):
            return LogPage(lines, _time(lines[-1]), True)
        lines.append(line)
    return LogPage(lines, None, all(reader.complete for reader in readers))


def _time(line: dict[str, Any]) -> str:
    return str(line.get("time", ""))


class _Reader:
    """The JSON lines of a file from its end, as far as READ_AT_MOST; lines that a full disk cut short are left out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.complete = True

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for raw in self._raw_lines():
            try:
                line = json.loads(raw)
            except ValueError:
                continue
            if isinstance(line, dict):
                yield line

    def _raw_lines(self) -> Iterator[bytes]:
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            end = position = file.seek(0, 2)
            rest = b""
            while position > 0:
                if end - position >= READ_AT_MOST:
                    self.complete = False
                    return
                start = max(0, position - _BLOCK)
                file.seek(start)
                first, *others = (file.read(position - start) + rest).split(b"\n")
                yield from reversed(others)
                rest, position = first, start
            yield rest
