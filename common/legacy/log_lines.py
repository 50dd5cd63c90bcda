"""The earlier system's logs: `%(asctime)s - %(name)s - %(levelname)s - %(message)s`, in files and in what containers
kept of them (docker's json-file driver, `docker compose logs`)."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from common.legacy.texts import decoded

MAX_MESSAGE = 100_000  # characters of one record: a runaway traceback is not read into memory whole
MAX_LINE = 1_000_000  # bytes

_RECORD = re.compile(
    r"(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)[,.](?P<milliseconds>\d{3}) - "
    r"(?P<logger>[\w.]+) - (?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) - (?P<message>.*)",
    re.DOTALL,
)
_COMPOSE_PREFIX = re.compile(r"^[\w.-]+\s+\| (?:\d{4}-\d\d-\d\dT[\d:.]+Z )?")
_CONTAINER_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z ")
_TOKEN = re.compile(r"(?<!\d)\d{6,12}:[A-Za-z0-9_-]{30,}|\bhf_[A-Za-z0-9]{16,}")


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record, its continuation lines included. `at` has no zone: it is that of the machine that wrote it."""

    at: datetime
    logger: str
    level: str
    message: str
    line: int


def read_log(path: Path) -> Iterator[LogRecord]:
    """The records of a log, compressed (.gz) or not. Tokens of bots and hubs are dropped. What comes before the first
    record is skipped. Raises OSError."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        yield from records(iter(lambda: file.readline(MAX_LINE), b""))


def records(lines: Iterable[bytes]) -> Iterator[LogRecord]:
    """The records that `lines` hold."""
    current: LogRecord | None = None
    for number, line in enumerate(lines, 1):
        text = _unwrapped(decoded(line).rstrip("\r\n"))
        match = _RECORD.fullmatch(text)
        if match is None:
            if current is not None and len(current.message) < MAX_MESSAGE:
                current = replace(current, message=f"{current.message}\n{_cleaned(text)}")
            continue
        at = _time(match)
        if at is None:
            continue
        if current is not None:
            yield current
        current = LogRecord(at, match["logger"], match["level"], _cleaned(match["message"]), number)
    if current is not None:
        yield current


def _unwrapped(line: str) -> str:
    if line.startswith('{"log":'):
        try:
            line = str(json.loads(line)["log"]).rstrip("\r\n")
        except (ValueError, RecursionError, KeyError, TypeError):
            return line
    return _CONTAINER_TIME.sub("", _COMPOSE_PREFIX.sub("", line))


def _time(match: re.Match[str]) -> datetime | None:
    try:
        return datetime.strptime(f"{match['at']},{match['milliseconds']}", "%Y-%m-%d %H:%M:%S,%f")
    except ValueError:
        return None  # the 31st of February: somebody edited it


def _cleaned(text: str) -> str:
    return _TOKEN.sub("[masked]", text)
