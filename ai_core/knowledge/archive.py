"""The members of an npm package that are wanted, read as hostile: by their names, by size limits, into memory.

A package may come from anywhere (`--from FILE`); nothing of it is ever unpacked onto the disk.
"""

from __future__ import annotations

import json
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from ai_core.knowledge.errors import PackageInvalid

MANIFEST_MEMBER = "package/package.json"

MAX_MANIFEST_BYTES = 1024 * 1024
MAX_MEMBERS = 10_000
MAX_UNPACKED_BYTES = 1024 * 1024 * 1024  # skipping a member inflates it too


def read_members(path: Path, limit_of: Callable[[str], int | None], expected: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of each member for which `limit_of` gives the most bytes that it may have (None: not wanted).

    Raises PackageInvalid, which names the file and what was `expected`.
    """
    try:
        with tarfile.open(path, "r:gz") as archive:
            seen = inflated = 0
            while (member := archive.next()) is not None:
                seen, inflated = seen + 1, inflated + max(member.size, 0)
                if seen > MAX_MEMBERS or inflated > MAX_UNPACKED_BYTES:
                    raise PackageInvalid(f"{path}: far larger than the package; expected {expected}.")
                if (limit := limit_of(member.name)) is not None:
                    yield member.name, _read_member(path, archive, member, limit, expected)
                # TarFile remembers every header it has seen: a million tiny members would fill the memory.
                vars(archive)["members"].clear()
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise PackageInvalid(f"{path}: the archive is damaged ({error}); expected {expected}.") from error


def is_archive(path: Path, expected: str) -> bool:
    """Whether `path` is gzipped. Raises PackageInvalid for what is no file, or an empty one."""
    try:
        if not path.is_file():
            raise PackageInvalid(f"{path}: no such file; expected {expected}.")
        with path.open("rb") as file:
            start = file.read(2)
    except OSError as error:
        raise PackageInvalid(f"{path}: cannot be read ({error.strerror or error}).") from error
    if not start:
        raise PackageInvalid(f"{path}: the file is empty; expected {expected}.")
    return start == b"\x1f\x8b"


def version_in(path: Path, manifest: bytes) -> str:
    """The version that a package's manifest names, safe in a file name. Raises PackageInvalid."""
    try:
        document = json.loads(manifest)
    except (ValueError, RecursionError) as error:
        raise PackageInvalid(f"{path}: {MANIFEST_MEMBER} is not JSON ({error}).") from error
    version = document.get("version") if isinstance(document, dict) else None
    if not isinstance(version, str) or not 0 < len(version) <= 40:
        raise PackageInvalid(f"{path}: {MANIFEST_MEMBER} names no version.")
    return "".join(character if character.isalnum() or character in ".-+" else "_" for character in version)


def _read_member(path: Path, archive: tarfile.TarFile, member: tarfile.TarInfo, limit: int, expected: str) -> bytes:
    if not member.isreg():  # a link could point anywhere
        raise PackageInvalid(f"{path}: {member.name} is not a plain file; expected {expected}.")
    if member.size > limit:
        raise PackageInvalid(f"{path}: {member.name} has {member.size} bytes, more than the {limit} allowed.")
    stream = archive.extractfile(member)
    assert stream is not None, "a regular member has a stream"
    return stream.read(limit)
