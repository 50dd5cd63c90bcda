"""llama.cpp's own converter, taken out of the source package of llama-cpp-python, whose version and hash are locked.

The wheel and the gguf package lack it: https://github.com/ggml-org/llama.cpp/blob/master/convert_hf_to_gguf.py.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ai_core.catalog.child_process import ROOT
from ai_core.catalog.errors import CatalogError, ChildFailed
from ai_core.catalog.job import Progress
from ai_core.catalog.new_file import require_space, scratch_file

PACKAGE = "llama-cpp-python"
LOCK_FILE = ROOT / "requirements" / "ai_core-gguf.txt"
SCRIPT = "convert_hf_to_gguf.py"
WANTED = (SCRIPT, "conversion", "gguf-py/gguf", "LICENSE")
LARGEST_MEMBER = 16 * 1024 * 1024  # bytes
NEEDED_BYTES = 200 * 1024 * 1024  # the package, what pip unpacks of it, and what is kept


class ConverterMissing(CatalogError):
    """The converter could not be brought here, or what came is not the locked package."""


@dataclass(frozen=True, slots=True)
class LockedPackage:
    """A version, and the SHA-256 of its files in hexadecimal."""

    version: str
    hashes: tuple[str, ...]

    @classmethod
    def read(cls) -> LockedPackage:
        """The entry of llama-cpp-python. Raises ConverterMissing."""
        try:
            text = LOCK_FILE.read_text(encoding="utf-8")
        except OSError as error:
            raise ConverterMissing(f"{LOCK_FILE}, which has the hash of the converter: {error.strerror}") from None
        found = re.search(rf"^{PACKAGE}==(\S+)((?: \\\n +--hash=sha256:[0-9a-f]+)+)", text, re.MULTILINE)
        if found is None:
            raise ConverterMissing(f"{LOCK_FILE} has no entry with hashes for {PACKAGE}")
        return cls(found[1], tuple(re.findall(r"sha256:([0-9a-f]+)", found[2])))


def converter_folder(data_dir: Path) -> Path:
    """Where the converter of the locked version is, or will be."""
    return data_dir.absolute() / "tools" / f"llama.cpp-{LockedPackage.read().version}"


def bring_converter(data_dir: Path, source: Path | None, progress: Progress) -> Path:
    """The converter's script, fetched with pip if it is not here yet, or taken from `source`, the source package at
    hand. Raises ConverterMissing, NoSpace, TargetTaken."""
    package = LockedPackage.read()
    folder = converter_folder(data_dir)
    if not folder.is_dir():
        progress.say("fetching llama.cpp's converter")
        require_space(folder.parent, NEEDED_BYTES)
        with scratch_file(folder) as lock:
            archive = source or _fetch(package, folder.parent / f".fetching-{folder.name}", progress, lock.lock)
            _require_locked(archive, package)
            _unpack(archive, folder)
        shutil.rmtree(folder.parent / f".fetching-{folder.name}", ignore_errors=True)
    return folder / SCRIPT


def _fetch(package: LockedPackage, directory: Path, progress: Progress, lock: int) -> Path:
    """With pip, which knows the registry, its mirrors and proxies as the operator has set them."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    requirement = directory / "requirement.txt"
    hashes = "".join(f" --hash=sha256:{value}" for value in package.hashes)
    requirement.write_text(f"{PACKAGE}=={package.version}{hashes}\n", encoding="ascii")
    arguments = ["download", "--no-deps", "--no-binary", PACKAGE, "--require-hashes", "--progress-bar", "off"]
    arguments += ["--no-input", "--dest", str(directory), "--requirement", str(requirement)]
    try:
        progress.run_child("pip", arguments, lambda _: None, lock=lock)
    except ChildFailed as failed:
        shutil.rmtree(directory, ignore_errors=True)
        raise ConverterMissing(
            f"pip could not bring {PACKAGE} {package.version}, which holds the converter: {failed.lines[-1]} "
            f"(with its source package at hand: --source FILE.tar.gz)"
        ) from failed
    return next(directory.glob("*.tar.gz"))


def _require_locked(archive: Path, package: LockedPackage) -> None:
    digest = hashlib.sha256()
    try:
        with archive.open("rb") as file:
            while block := file.read(1024 * 1024):
                digest.update(block)
    except OSError as error:
        raise ConverterMissing(f"{archive}: {error.strerror}") from None
    if digest.hexdigest() not in package.hashes:
        raise ConverterMissing(f"{archive} is not the source package of {PACKAGE} {package.version}: its hash differs")


def _unpack(archive: Path, folder: Path) -> None:
    """Only the plain files that are wanted, each written by hand: Debian 12's Python lacks tarfile's safe filters."""
    building = folder.with_name(f".building-{folder.name}")
    shutil.rmtree(building, ignore_errors=True)
    with tarfile.open(archive, "r:gz") as package:
        for member in package:
            place = _place(member)
            content = package.extractfile(member) if place is not None else None
            if place is not None and content is not None:
                (building / place).parent.mkdir(parents=True, exist_ok=True)
                (building / place).write_bytes(content.read(LARGEST_MEMBER))
    if not (building / SCRIPT).is_file():
        raise ConverterMissing(f"{archive} holds no {SCRIPT}")
    building.rename(folder)


def _place(member: tarfile.TarInfo) -> PurePosixPath | None:
    """Where a member goes, below our folder; None for what is not wanted."""
    parts = PurePosixPath(member.name).parts
    if not member.isfile() or member.size > LARGEST_MEMBER or ".." in parts or parts[1:3] != ("vendor", "llama.cpp"):
        return None
    place = PurePosixPath(*parts[3:])
    return (
        place if any(place == PurePosixPath(name) or PurePosixPath(name) in place.parents for name in WANTED) else None
    )
