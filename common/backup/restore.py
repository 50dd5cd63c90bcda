"""The way back: nothing is touched before every byte of the archive was found to be ours and could be read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from common.backup import databases, redis_copy
from common.backup.backup import SPARE, Say, megabytes, staging
from common.backup.contents import DATABASES, FILES, REDIS, Manifest, unpack
from common.backup.errors import ArchiveRefused, BackupError
from common.backup.plan import DatabasePlan, Plan
from common.backup.seal import opened, verify


def restore(
    plan: Plan, archive: Path, identity: str, say: Say, *, of_host: str | None = None, dry: bool = False
) -> None:
    """Put everything of `archive` in its place; services and Redis must not run. `of_host`: the host that it is of,
    where that is not this one. `dry` stops before the first change. Raises BackupError."""
    verify(archive, plan.keys)
    say(f"{archive.name}: every byte is as it was signed.")
    _require_room(plan, archive)
    with staging(plan.folder) as folder:
        plain = folder / "archive.tar.gz"
        opened(archive, identity, plain)
        content = folder / "content"
        content.mkdir(mode=0o700)
        manifest = unpack(plain, content)
        plain.unlink()
        pairs = _fitting(plan, manifest, content, of_host or plan.host)
        say(f"Of {manifest.host}, made at {manifest.made_at}: {', '.join(pair[0].service for pair in pairs)}")
        if dry:
            say("Nothing was changed.")
            return
        _put_back(plan, manifest, content, pairs, say)


def _fitting(plan: Plan, manifest: Manifest, content: Path, host: str) -> list[tuple[DatabasePlan, Path]]:
    """The databases with their copies, all of them sound, or the reason why not."""
    if manifest.host != host:
        raise ArchiveRefused(f"this archive is of {manifest.host}, not of {host}")
    pairs = [(database, content / DATABASES / databases.file_name(database)) for database in plan.databases]
    missing = [copy.name for _, copy in pairs if not copy.is_file()]
    more = set(manifest.databases) - {f"{DATABASES}/{copy.name}" for _, copy in pairs}
    if missing or more:
        raise BackupError(
            f"this host's databases are not those of the archive: {', '.join(missing) or 'none'} missing there, "
            f"{', '.join(sorted(more)) or 'none'} missing here"
        )
    if manifest.redis and plan.redis is None:
        raise BackupError("the archive holds Redis, this host has none")
    for database, copy in pairs:
        if databases.is_sqlite(database):
            databases.check(copy)
    return pairs


def _put_back(plan: Plan, manifest: Manifest, content: Path, pairs: list[tuple[DatabasePlan, Path]], say: Say) -> None:
    if plan.redis is not None and manifest.redis:
        redis_copy.restore(plan.redis, content / REDIS)  # refuses while it runs, so it comes first
        say("Redis: its next start reads the snapshot.")
    for database, copy in pairs:
        databases.restore(database, copy)
        say(f"Database {database.service}: {megabytes(copy.stat().st_size)}")
    count = _put_files(content / FILES, Path("/"))
    say(f"Files: {count}")


def _put_files(source: Path, root: Path) -> int:
    """Each file over the one that is there, in one step; returns how many."""
    count = 0
    for folder, names, files in os.walk(source):
        place = root / Path(folder).relative_to(source)
        if not place.is_dir():
            place.mkdir()
            _like(Path(folder), place)
        links = [name for name in names if (Path(folder) / name).is_symlink()]
        for name in (*files, *links):
            _put(Path(folder) / name, place / name)
            count += 1
    return count


def _put(source: Path, place: Path) -> None:
    fresh = place.with_name(f".{place.name}.restored")
    fresh.unlink(missing_ok=True)
    if source.is_symlink():
        fresh.symlink_to(os.readlink(source))
    else:
        shutil.copyfile(source, fresh)
    _like(source, fresh)
    fresh.replace(place)


def _like(source: Path, place: Path) -> None:
    facts = source.lstat()
    os.lchown(place, facts.st_uid, facts.st_gid)
    if not place.is_symlink():
        place.chmod(facts.st_mode & 0o7777)
        os.utime(place, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def _require_room(plan: Plan, archive: Path) -> None:
    needed = 6 * archive.stat().st_size + SPARE
    free = shutil.disk_usage(plan.folder).free
    if free < needed:
        raise BackupError(f"{plan.folder}: {megabytes(free)} are free, {megabytes(needed)} needed. Nothing was done.")
