"""POST /admin/cleanup: what may be removed without loss. One run at a time, whichever process it is in."""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ai_core.model_host import ModelHost
from ai_core.storage import CleanupRun, utc_now
from common.errors import ServiceError

logger = logging.getLogger(__name__)

FULL = "full_cleanup"

Operation = Callable[[bool], int]
"""Takes whether it is a dry run; returns the bytes that it freed, or would free. Raises OSError, ServiceError."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one run; `failed` names the operations that ended in an error, which the log explains."""

    completed: list[str]
    failed: list[str]
    space_freed: int
    started_at: datetime


class Cleanup:
    """Runs `operations` by name; `full_cleanup` stands for all of them."""

    def __init__(self, data_dir: Path, host: ModelHost, operations: Mapping[str, Operation]) -> None:
        self._data_dir = data_dir
        self._host = host
        self._operations = operations

    def run(self, wanted: Sequence[str], *, force: bool = False, dry_run: bool = False) -> Outcome:
        """Raises ServiceError 409 while another run goes on, or, without `force`, while answers are generated."""
        with self._alone():
            if not force and not dry_run:
                self._require_quiet()
            started_at = utc_now()
            names = list(self._operations) if FULL in wanted else list(dict.fromkeys(wanted))
            freed = {name: self._run_one(name, dry_run) for name in names}
            completed = [name for name, space in freed.items() if space is not None]
            failed = [name for name in names if name not in completed]
            space_freed = sum(space or 0 for space in freed.values())
            if FULL in wanted and not failed:
                completed.append(FULL)
            if not dry_run:
                _note(started_at, completed, space_freed)
            return Outcome(completed, failed, space_freed, started_at)

    def _run_one(self, name: str, dry_run: bool) -> int | None:
        try:
            freed = self._operations[name](dry_run)
        except (OSError, ServiceError) as error:
            logger.error("cleanup failed", extra={"operation": name}, exc_info=error)
            return None
        logger.info("cleaned up", extra={"operation": name, "bytes": freed, "dry_run": dry_run})
        return freed

    def _require_quiet(self) -> None:
        model = self._host.current_or_none()
        stats = None if model is None else model.engine.stats()
        if stats is not None and (stats.slots_busy or stats.waiting):
            message = "Answers are being generated; `force` cleans up nevertheless."
            raise ServiceError(409, "generating", message, retry_after=10)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        # A lock of the system: it goes with the process that held it, however that ends.
        self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._data_dir / ".cleanup.lock").open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ServiceError(409, "operation_running", "Another cleanup is running.", retry_after=10) from None
            yield


def last_run() -> CleanupRun | None:
    """The latest run that came to its end."""
    finished = CleanupRun.select().where(CleanupRun.finished_at.is_null(False))
    latest: CleanupRun | None = finished.order_by(CleanupRun.id.desc()).first()
    return latest


def _note(started_at: datetime, completed: Sequence[str], space_freed: int) -> None:
    CleanupRun.create(
        started_at=started_at, finished_at=utc_now(), operations=",".join(completed), space_freed=space_freed
    )
