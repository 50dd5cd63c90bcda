"""The archives of a folder: which is the newest, and which have been kept long enough."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

REMOVED = ".removed"
_NAME = re.compile(r"(?P<host>.+)-(?P<moment>\d{8}T\d{6}Z)\.tar\.gz\.age")


@dataclass(frozen=True, slots=True)
class Kept:
    """One archive, as its name tells."""

    path: Path
    host: str
    made_at: datetime


def archives(folder: Path, host: str) -> list[Kept]:
    """Those of one host, oldest first."""
    return sorted((kept for kept in _all(folder) if kept.host == host), key=lambda kept: kept.made_at)


def prune(folder: Path, host: str, keep_days: int, now: datetime | None = None) -> list[str]:
    """Remove what is older than `keep_days`, never the newest one; returns the names."""
    before = (now or datetime.now(timezone.utc)) - timedelta(days=keep_days)
    old = [kept for kept in archives(folder, host)[:-1] if kept.made_at < before]
    with (folder / REMOVED).open("a", encoding="utf-8") as removed:
        for kept in old:
            removed.write(kept.path.name + "\n")
            removed.flush()
            kept.path.unlink()
    return [kept.path.name for kept in old]


def removed_names(folder: Path) -> list[str]:
    """What `prune` removed here and the target may still hold."""
    try:
        return (folder / REMOVED).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def forget_removed(folder: Path) -> None:
    """The target does not hold them any more."""
    (folder / REMOVED).unlink(missing_ok=True)


def _all(folder: Path) -> Iterator[Kept]:
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        if match is not None and path.is_file():
            moment = datetime.strptime(match["moment"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
            yield Kept(path, match["host"], moment)
