"""Files that are there whole or not at all: written beside their place, then moved to it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ai_core.catalog.errors import NoSpace, TargetTaken
from ai_core.catalog.memory import gib

SPARE_BYTES = 64 * 1024 * 1024  # left on the disk for everything else


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Where to write, and the descriptor of the lock that keeps others from writing there."""

    path: Path
    lock: int


@contextmanager
def new_file(target: Path) -> Iterator[Unfinished]:
    """Give a path beside `target`; what the block leaves there is moved to `target` after it, and removed if it fails.

    Raises TargetTaken when `target` exists or another process is writing it.
    """
    require_free(target)
    with scratch_file(target) as unfinished:
        require_free(target)  # whoever had the lock may have finished meanwhile
        yield unfinished
        _move(unfinished.path, target)


@contextmanager
def scratch_file(target: Path) -> Iterator[Unfinished]:
    """Give a path beside `target` for the block, and remove what it leaves there. Raises TargetTaken when another
    process uses it."""
    path = target.with_name(f".{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TargetTaken(f"{target} is being written already; wait until that has ended") from None
        try:
            yield Unfinished(path, file.fileno())
        finally:
            path.unlink(missing_ok=True)


def require_free(target: Path) -> None:
    """Raises TargetTaken when there is something at `target`."""
    if target.exists():
        raise TargetTaken(f"{target} exists already: remove it, or write to another file with --out")


def require_space(directory: Path, needed: int) -> None:
    """Raises NoSpace with the figures when `directory`'s disk has not `needed` bytes and some to spare."""
    existing = next(place for place in (directory, *directory.absolute().parents) if place.exists())
    free = shutil.disk_usage(existing).free
    if free < needed + SPARE_BYTES:
        raise NoSpace(f"{directory}: {gib(free)} free, {gib(needed + SPARE_BYTES)} are needed")


def require_not_full(directory: Path) -> None:
    """Raises NoSpace when the disk is as good as full: the likeliest reason of a failed write."""
    if shutil.disk_usage(directory).free < SPARE_BYTES:
        raise NoSpace(f"{directory}: the disk is full; nothing was written")


def _move(path: Path, target: Path) -> None:
    """Not before the data is on the disk: after a power cut the name would stand for an empty file."""
    _sync(path)
    os.replace(path, target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
