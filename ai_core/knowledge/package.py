"""The npm package @socialgouv/legi-data, or its JSON file alone -> the bytes of the Code du travail and its version."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ai_core.knowledge.archive import MANIFEST_MEMBER, MAX_MANIFEST_BYTES, is_archive, read_members, version_in
from ai_core.knowledge.errors import PackageInvalid

PACKAGE = "@socialgouv/legi-data"
CODE_FILE = "LEGITEXT000006072050.json"
CODE_MEMBER = f"package/data/{CODE_FILE}"

MAX_CODE_BYTES = 256 * 1024 * 1024  # the real file has 56 MB

EXPECTED = f"an npm package of {PACKAGE} (.tgz) or its {CODE_FILE}"


@dataclass(frozen=True, slots=True)
class CodeFile:
    """The JSON of the code, not parsed yet. `version` is the package's, or "file" when the JSON came alone."""

    content: bytes
    version: str
    source: str


def read_package(path: Path) -> CodeFile:
    """Read `path`, a package or a JSON file. Raises PackageInvalid, which names the file and what was expected."""
    try:
        return _from_archive(path) if is_archive(path, EXPECTED) else _from_json(path)
    except OSError as error:
        raise PackageInvalid(f"{path}: cannot be read ({error.strerror or error}).") from error


def _from_json(path: Path) -> CodeFile:
    if path.stat().st_size > MAX_CODE_BYTES:
        raise PackageInvalid(f"{path}: larger than {MAX_CODE_BYTES} bytes; expected {EXPECTED}.")
    return CodeFile(path.read_bytes(), "file", path.name)


def _from_archive(path: Path) -> CodeFile:
    limits = {CODE_MEMBER: MAX_CODE_BYTES, MANIFEST_MEMBER: MAX_MANIFEST_BYTES}
    found: dict[str, bytes] = {}
    for name, content in read_members(path, limits.get, EXPECTED):
        found[name] = content
        if len(found) == len(limits):
            break
    if CODE_MEMBER not in found:
        raise PackageInvalid(f"{path}: the archive holds no {CODE_MEMBER}; expected {EXPECTED}.")
    manifest = found.get(MANIFEST_MEMBER)
    return CodeFile(found[CODE_MEMBER], "unknown" if manifest is None else version_in(path, manifest), path.name)
