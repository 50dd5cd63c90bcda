"""The npm package @socialgouv/legi-data, or its JSON file alone -> the bytes of the Code du travail and its version.

A package may come from anywhere (`--from FILE`), so it is read as hostile: one member, by its exact name, by size
limits, into memory; nothing is ever unpacked onto the disk.
"""

from __future__ import annotations

import json
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from ai_core.knowledge.errors import PackageInvalid

CODE_FILE = "LEGITEXT000006072050.json"
CODE_MEMBER = f"package/data/{CODE_FILE}"
MANIFEST_MEMBER = "package/package.json"

MAX_CODE_BYTES = 256 * 1024 * 1024  # the real file has 56 MB
MAX_MANIFEST_BYTES = 1024 * 1024
MAX_MEMBERS = 10_000
MAX_UNPACKED_BYTES = 1024 * 1024 * 1024  # skipping a member inflates it too

EXPECTED = f"an npm package of @socialgouv/legi-data (.tgz) or its {CODE_FILE}"


@dataclass(frozen=True, slots=True)
class CodeFile:
    """The JSON of the code, not parsed yet. `version` is the package's, or "file" when the JSON came alone."""

    content: bytes
    version: str
    source: str


def read_package(path: Path) -> CodeFile:
    """Read `path`, a package or a JSON file. Raises PackageInvalid, which names the file and what was expected."""
    try:
        if not path.is_file():
            raise PackageInvalid(f"{path}: no such file; expected {EXPECTED}.")
        with path.open("rb") as file:
            start = file.read(2)
        if not start:
            raise PackageInvalid(f"{path}: the file is empty; expected {EXPECTED}.")
        return _from_archive(path) if start == b"\x1f\x8b" else _from_json(path)
    except OSError as error:
        raise PackageInvalid(f"{path}: cannot be read ({error.strerror or error}).") from error


def _from_json(path: Path) -> CodeFile:
    if path.stat().st_size > MAX_CODE_BYTES:
        raise PackageInvalid(f"{path}: larger than {MAX_CODE_BYTES} bytes; expected {EXPECTED}.")
    return CodeFile(path.read_bytes(), "file", path.name)


def _from_archive(path: Path) -> CodeFile:
    content: bytes | None = None
    version: str | None = None
    try:
        with tarfile.open(path, "r:gz") as archive:
            seen = inflated = 0
            while (content is None or version is None) and (member := archive.next()) is not None:
                seen, inflated = seen + 1, inflated + max(member.size, 0)
                if seen > MAX_MEMBERS or inflated > MAX_UNPACKED_BYTES:
                    raise PackageInvalid(f"{path}: far larger than the package; expected {EXPECTED}.")
                if member.name == CODE_MEMBER:
                    content = _read_member(path, archive, member, MAX_CODE_BYTES)
                elif member.name == MANIFEST_MEMBER:
                    version = _version(path, _read_member(path, archive, member, MAX_MANIFEST_BYTES))
                # TarFile remembers every header it has seen: a million tiny members would fill the memory.
                vars(archive)["members"].clear()
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise PackageInvalid(f"{path}: the archive is damaged ({error}); expected {EXPECTED}.") from error
    if content is None:
        raise PackageInvalid(f"{path}: the archive holds no {CODE_MEMBER}; expected {EXPECTED}.")
    return CodeFile(content, version or "unknown", path.name)


def _read_member(path: Path, archive: tarfile.TarFile, member: tarfile.TarInfo, limit: int) -> bytes:
    if not member.isreg():  # a link could point anywhere
        raise PackageInvalid(f"{path}: {member.name} is not a plain file; expected {EXPECTED}.")
    if member.size > limit:
        raise PackageInvalid(f"{path}: {member.name} has {member.size} bytes, more than the {limit} allowed.")
    stream = archive.extractfile(member)
    assert stream is not None, "a regular member has a stream"
    return stream.read(limit)


def _version(path: Path, manifest: bytes) -> str:
    try:
        document = json.loads(manifest)
    except ValueError as error:
        raise PackageInvalid(f"{path}: {MANIFEST_MEMBER} is not JSON ({error}).") from error
    version = document.get("version") if isinstance(document, dict) else None
    if not isinstance(version, str) or not 0 < len(version) <= 40:
        raise PackageInvalid(f"{path}: {MANIFEST_MEMBER} names no version.")
    return "".join(character if character.isalnum() or character in ".-+" else "_" for character in version)
