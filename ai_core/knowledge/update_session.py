"""What every update needs: it is the only one, on a disk with room, and what goes wrong is one clear error."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import peewee

from ai_core.knowledge.errors import KnowledgeError
from ai_core.knowledge.lock import update_lock
from ai_core.knowledge.places import knowledge_directory
from common.database import connection

NEEDED_BYTES = 200 * 1024 * 1024  # package, database and index of one revision, with room to spare


@contextmanager
def update_session(database: peewee.Database, data_dir: Path) -> Iterator[None]:
    """Hold the lock of the data directory and a connection for the block. Raises KnowledgeError."""
    directory = knowledge_directory(data_dir)
    with _clear_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
        with update_lock(directory), connection(database):
            _clear_leftovers(directory)
            _require_space(directory)
            yield


def forget_packages(kept: Path, package: str) -> None:
    """Remove the other files of the npm `package` beside `kept`."""
    for other in kept.parent.glob(f"{package.removeprefix('@').replace('/', '-')}-*.tgz"):
        if other != kept:
            other.unlink(missing_ok=True)


def _clear_leftovers(directory: Path) -> None:
    # What a killed update was building; nobody else can be, since the lock is ours.
    for leftover in (*directory.glob(".building-*"), *directory.glob("packages/.fetching-*")):
        shutil.rmtree(leftover, ignore_errors=True)


def _require_space(directory: Path) -> None:
    free = shutil.disk_usage(directory).free
    if free < NEEDED_BYTES:
        raise KnowledgeError(f"{directory}: {free // 2**20} MB free, an update needs {NEEDED_BYTES // 2**20} MB.")


@contextmanager
def _clear_errors(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise KnowledgeError(f"{directory}: the disk is full; the earlier revision stays active.") from error
        raise KnowledgeError(f"{error.filename or directory}: {error.strerror or error}.") from error
    except peewee.PeeweeException as error:
        raise KnowledgeError(
            f"The database refused the import ({error}); the earlier revision stays active."
        ) from error
