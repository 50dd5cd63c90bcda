"""Making an archive: copies first, then all of it through age into one file, while the services run."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from common.backup import databases, redis_copy
from common.backup.contents import DATABASES, REDIS, Manifest, files_below, pack, size_below
from common.backup.errors import BackupError
from common.backup.plan import Plan
from common.backup.seal import sealed, verify

Say = Callable[[str], None]

SPARE = 256 << 20  # bytes that stay free
STAGING = ".staging"
LOCK = ".lock"
ENDING = ".tar.gz.age"


@dataclass(frozen=True, slots=True)
class Part:
    """Something that goes into an archive, with about how many bytes."""

    name: str
    size: int


def parts(plan: Plan) -> list[Part]:
    """What there is to keep. Raises BackupError where a database does not answer."""
    found = [Part(f"database {database.service}", databases.size(database)) for database in plan.databases]
    if plan.redis is not None:
        found.append(Part("Redis", redis_copy.size(plan.redis)))
    excluded = excluded_paths(plan)
    return found + [Part(str(path), size_below([path], excluded)) for path in plan.paths]


def excluded_paths(plan: Plan) -> tuple[str, ...]:
    """Patterns of what is left out: as the plan says, the archives themselves, and databases, which are copied."""
    files = [databases.sqlite_path(database) for database in plan.databases if databases.is_sqlite(database)]
    live = [f"{path}{end}" for path in files for end in ("", *databases.SQLITE_SIDE_FILES)]
    return (*plan.exclude, str(plan.folder), *live)


def require_room(plan: Plan, found: list[Part]) -> None:
    """Raises BackupError, with the figures, where copies and archive would not fit."""
    # The copies and the archive at its worst: what is encrypted in the database hardly gets smaller.
    needed = 2 * sum(part.size for part in found) + SPARE
    plan.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    free = shutil.disk_usage(plan.folder).free
    if free < needed:
        raise BackupError(f"{plan.folder}: {megabytes(free)} are free, {megabytes(needed)} needed. Nothing was done.")


def make(plan: Plan, say: Say) -> Path:
    """A new archive of this host, verified. Raises BackupError."""
    found = parts(plan)
    require_room(plan, found)
    began = time.monotonic()
    now = datetime.now(timezone.utc)
    path = plan.folder / f"{plan.host}-{now:%Y%m%dT%H%M%SZ}{ENDING}"
    with staging(plan.folder) as folder:
        copies = _copies(plan, folder, say)
        manifest = Manifest(
            host=plan.host,
            made_at=now.isoformat(timespec="seconds"),
            databases=tuple(name for name in copies if name.startswith(DATABASES)),
            redis=plan.redis is not None,
            paths=tuple(map(str, plan.paths)),
        )
        say(f"Encrypting for {len(plan.recipients)} recipient(s) ...")
        with sealed(path, plan.recipients, plan.keys[0]) as stream:
            count = pack(stream, manifest, copies, files_below(plan.paths, excluded_paths(plan)))
    verify(path, plan.keys)
    say(f"{path.name}: {count} files, {megabytes(path.stat().st_size)}, {time.monotonic() - began:.1f} s")
    return path


def _copies(plan: Plan, folder: Path, say: Say) -> dict[str, Path]:
    made: dict[str, Path] = {}
    (folder / DATABASES).mkdir()
    for database in plan.databases:
        name = f"{DATABASES}/{databases.file_name(database)}"
        databases.save(database, folder / name)
        made[name] = folder / name
        say(f"Database {database.service}: {megabytes((folder / name).stat().st_size)}")
    if plan.redis is not None:
        redis_copy.save(plan.redis, folder / REDIS)
        made[REDIS] = folder / REDIS
        say(f"Redis: {megabytes((folder / REDIS).stat().st_size)}")
    return made


@contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A folder for what must not lie around, empty, and gone afterwards."""
    place = folder / STAGING
    place.mkdir(mode=0o700)
    try:
        yield place
    finally:
        shutil.rmtree(place)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the folder for the block, and first clear away what a killed run left. Raises BackupError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"{folder}: another backup or restore is at work") from None
        shutil.rmtree(folder / STAGING, ignore_errors=True)
        for partial in folder.glob(".*.partial"):
            partial.unlink()
        yield


def megabytes(size: int) -> str:
    """For people."""
    return f"{size / 1e6:.1f} MB"
