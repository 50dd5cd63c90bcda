"""One update at a time for a data directory, across processes."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ai_core.knowledge.errors import UpdateRunning


@contextmanager
def update_lock(directory: Path) -> Iterator[None]:
    """Hold the directory's lock for the block. Raises UpdateRunning when another process holds it.

    The kernel drops the lock with the process, so a killed update leaves nothing to clean.
    """
    with (directory / ".update.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UpdateRunning(f"Another update is running in {directory}; wait until it has ended.") from None
        yield
