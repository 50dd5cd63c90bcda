"""The inside of an archive: manifest.json, then databases/, redis.rdb, and files/ with absolute paths below it."""

from __future__ import annotations

import fnmatch
import io
import json
import os
import tarfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from common.backup.errors import ArchiveRefused

FORMAT = 1
MANIFEST = "manifest.json"
DATABASES = "databases"
REDIS = "redis.rdb"
FILES = "files"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive is of; `made_at` is ISO 8601, UTC; `databases` are the names of their copies."""

    host: str
    made_at: str
    databases: tuple[str, ...]
    redis: bool
    paths: tuple[str, ...]
    format: int = FORMAT

    @classmethod
    def parse(cls, text: bytes) -> Manifest:
        """Raises ArchiveRefused for one that this version does not know."""
        told: Mapping[str, Any] = json.loads(text)
        if told.get("format") != FORMAT:
            raise ArchiveRefused(f"format {told.get('format')}: this version reads {FORMAT}")
        return cls(**{**told, "databases": tuple(told["databases"]), "paths": tuple(told["paths"])})


def files_below(paths: Sequence[Path], exclude: Sequence[str]) -> Iterator[Path]:
    """Everything at and below `paths` that is a file, a folder or a link, without what matches `exclude`; sorted."""
    for path in paths:
        if not _excluded(path, exclude) and (path.is_symlink() or path.exists()):
            yield path
            if path.is_dir() and not path.is_symlink():
                yield from files_below(_inside(path), exclude)


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:  # gone meanwhile
        return []


def size_below(paths: Sequence[Path], exclude: Sequence[str]) -> int:
    """Their bytes."""
    total = 0
    for path in files_below(paths, exclude):
        try:
            total += path.lstat().st_size
        except FileNotFoundError:  # gone meanwhile
            continue
    return total


def pack(stream: IO[bytes], manifest: Manifest, copies: Mapping[str, Path], files: Iterator[Path]) -> int:
    """Write it all; returns how many files it has. `copies` by their names inside."""
    with tarfile.open(fileobj=stream, mode="w|") as tar:
        text = json.dumps(asdict(manifest), indent=2).encode()
        entry = tarfile.TarInfo(MANIFEST)
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
        for name, copy in copies.items():
            tar.add(copy, name)
        return len(copies) + sum(_add(tar, file) for file in files)


def unpack(archive: Path, into: Path) -> Manifest:
    """Extract a decrypted archive into an empty folder of our own. Raises ArchiveRefused."""
    try:
        with tarfile.open(archive, mode="r:gz") as tar:
            # Owners and links as they were; newer versions of Python would leave them out by default.
            tar.extraction_filter = lambda member, _: member
            first = tar.next()
            if first is None or first.name != MANIFEST:
                raise ArchiveRefused(f"{archive.name}: has no manifest")
            text = tar.extractfile(first)
            assert text is not None
            manifest = Manifest.parse(text.read())
            links: set[PurePosixPath] = set()
            while (member := tar.next()) is not None:
                _check(member, manifest, links)
                if member.issym():
                    links.add(PurePosixPath(member.name))
                tar.extract(member, into, numeric_owner=False)
    except (tarfile.TarError, EOFError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise ArchiveRefused(f"{archive.name}: is no archive of ours: {type(error).__name__}") from None
    return manifest


def _add(tar: tarfile.TarFile, file: Path) -> int:
    try:
        entry = tar.gettarinfo(file, arcname=f"{FILES}{file}")
        if not (entry.isreg() or entry.isdir() or entry.issym() or entry.islnk()):
            return 0  # sockets and pipes are made by who uses them
        if not entry.isreg():
            tar.addfile(entry)
            return 1
        with file.open("rb") as content:
            entry.size = os.fstat(content.fileno()).st_size
            tar.addfile(entry, content)
    except FileNotFoundError:  # gone meanwhile
        return 0
    return 1


def _check(member: tarfile.TarInfo, manifest: Manifest, links: Collection[PurePosixPath]) -> None:
    # It was signed by us; a mistake of ours must not write anywhere either, nor through a link.
    path = PurePosixPath(member.name)
    known = member.isreg() or member.isdir() or member.issym() or member.islnk()
    inside = [path, *([PurePosixPath(member.linkname)] if member.islnk() else [])]
    if not known or any(one.is_absolute() or ".." in one.parts or not one.parts for one in inside):
        raise ArchiveRefused(f"{member.name}: does not belong into an archive")
    if any(one == link or link in one.parents for one in inside for link in links):
        raise ArchiveRefused(f"{member.name}: lies behind a link")
    expected = {*manifest.databases, *([REDIS] if manifest.redis else [])}
    if path.parts[0] != FILES and member.name not in expected:
        raise ArchiveRefused(f"{member.name}: is not in the manifest")


def _excluded(path: Path, exclude: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(str(path), pattern) for pattern in exclude)
