"""Files under DATA_DIR that were begun and that nobody is writing any more."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

STALE_AFTER = 3600.0  # seconds without a change; what is younger may still be written

# What a killed process leaves: an import, a fetched converter, a converted model, a new secret, whatever is under tmp/.
PATTERNS = (
    *("knowledge/.building-*", "knowledge/packages/.fetching-*", "tools/.building-*", "tools/.fetching-*"),
    *("tools/.*.part", "models/.*.part", ".secret_key.*", "tmp/*"),
)


def remove_leftovers(data_dir: Path, dry_run: bool, *, clock: Callable[[], float] = time.time) -> int:
    """Remove them; returns their bytes."""
    return sum(_remove(path, dry_run) for path in _leftovers(data_dir, clock()))


def _leftovers(data_dir: Path, now: float) -> Iterator[Path]:
    for pattern in PATTERNS:
        for path in data_dir.glob(pattern):
            if now - _newest_change(path) > STALE_AFTER and not is_being_written(path):
                yield path


def is_being_written(path: Path) -> bool:
    """Whether a process holds a lock on a file: those that write for long do."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _newest_change(path: Path) -> float:
    files = [path, *path.rglob("*")] if path.is_dir() and not path.is_symlink() else [path]
    return max(file.lstat().st_mtime for file in files)


def _remove(path: Path, dry_run: bool) -> int:
    is_folder = path.is_dir() and not path.is_symlink()
    files = [file for file in path.rglob("*") if not file.is_dir()] if is_folder else [path]
    size = sum(file.lstat().st_size for file in files)
    if not dry_run:
        if is_folder:
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return size
