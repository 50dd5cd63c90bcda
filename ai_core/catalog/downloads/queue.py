"""The downloads of this service: some run, the others wait; equal requests share one; a restart goes on with all."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import peewee

from ai_core.catalog.downloads import records
from ai_core.catalog.downloads.errors import TooManyDownloads
from ai_core.catalog.downloads.folder import DownloadFolder, remove_abandoned
from ai_core.catalog.downloads.job import DownloadJob
from ai_core.catalog.downloads.progress import Progress
from ai_core.catalog.downloads.request import DownloadRequest
from ai_core.catalog.downloads.run import DownloadRun, Register
from ai_core.catalog.downloads.transfer import Patience
from ai_core.catalog.memory import Load
from ai_core.storage import ModelDownload
from common.database import connection

logger = logging.getLogger(__name__)

CANCEL_WITHIN = 10.0  # seconds; a killed process is gone at once
DATABASE_PAUSE = 5.0  # seconds between attempts to read the queue


@dataclass(frozen=True, slots=True)
class DownloadOptions:
    """`endpoint` is the Hub; `models` DATA_DIR/models; `load` how a model will be loaded, for the choice by memory."""

    endpoint: str
    models: Path
    load: Load
    at_once: int = 1
    most_waiting: int = 20
    patience: Patience = field(default_factory=Patience)


class Downloads:
    """`register` declares each model that has landed; `on_end` hears of each that is done or failed.
    Any thread may call the methods; `begin`, `find`, `newest` and `cancel` reach the database."""

    def __init__(
        self,
        database: peewee.Database,
        options: DownloadOptions,
        register: Register,
        on_end: Callable[[ModelDownload], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._options = options
        self._register = register
        self._on_end = on_end
        self._changed = threading.Condition()
        self._waiting: deque[str] = deque()
        self._tokens: dict[str, str] = {}
        self._runs: dict[str, DownloadRun] = {}
        self._stopped = False
        self._bytes = 0
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Go on with what an earlier process left unfinished, and with what comes."""
        with self._changed, connection(self._database):
            for row in records.unfinished():
                records.queue_again(row, had_token=row.had_token)
                if row.id not in self._waiting:
                    self._waiting.append(row.id)
        names = [f"download-{number}" for number in range(self._options.at_once)]
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for name in names]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the running ones; the next start goes on with them."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            for run in self._runs.values():
                run.kill()
        for thread in self._threads:
            thread.join(CANCEL_WITHIN)

    def begin(self, request: DownloadRequest, token: str | None = None) -> ModelDownload:
        """Put a request in the queue, or join an equal one that is under way, or go on with one that failed. The token
        is kept in memory until the download begins. Raises TooManyDownloads."""
        with self._changed, connection(self._database):
            row = records.pursued(request)
            if row is not None and row.status in records.UNFINISHED:
                if token is not None and row.id in self._waiting:
                    self._tokens[row.id] = token
                return row
            if len(self._waiting) >= self._options.most_waiting:
                raise TooManyDownloads(f"{len(self._waiting)} downloads are waiting already.")
            if row is None:
                row = records.create(request, had_token=token is not None)
            else:
                records.queue_again(row, had_token=token is not None)
            if token is not None:
                self._tokens[row.id] = token
            self._waiting.append(row.id)
            self._changed.notify()
            return row

    def find(self, download_id: str) -> ModelDownload | None:
        """A download by its id."""
        with connection(self._database):
            return records.find(download_id)

    def newest(self) -> list[ModelDownload]:
        """The downloads, the newest first."""
        with connection(self._database):
            return records.newest()

    def progress(self, download_id: str) -> Progress | None:
        """How far it is, while it runs."""
        run = self._runs.get(download_id)
        return run.progress if run is not None else None

    def cancel(self, download_id: str) -> ModelDownload | None:
        """End a download and forget what it has fetched; returns what it is now, None where there is no such one. One
        that is done stays done."""
        with self._changed:
            run = self._runs.get(download_id)
            if run is not None:
                run.cancel()
            else:
                self._cancel_waiting(download_id)
        if run is not None:
            run.ended.wait(CANCEL_WITHIN)
        return self.find(download_id)

    def counts(self) -> tuple[dict[str, int], int]:
        """How many downloads have each status, and the bytes that this process has fetched."""
        with connection(self._database):
            return records.count_by_status(), self._bytes

    def clean(self, dry_run: bool) -> int:
        """Remove what was fetched for downloads that failed; returns the bytes."""
        with self._changed, connection(self._database):
            keep = {row.request_key for row in records.unfinished()}
            return remove_abandoned(self._options.models, keep, dry_run=dry_run)

    def _cancel_waiting(self, download_id: str) -> None:
        with connection(self._database):
            row = records.find(download_id)
            if row is not None and row.status not in (records.DONE, records.CANCELLED):
                if download_id in self._waiting:
                    self._waiting.remove(download_id)
                self._tokens.pop(download_id, None)
                DownloadFolder(self._options.models, row.request_key).remove()
                records.save_status(row, records.CANCELLED)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    return
                download_id = self._waiting.popleft()
                run = DownloadRun(self._job, self._tokens.pop(download_id, None))
                self._runs[download_id] = run
            try:
                self._run(download_id, run)
            finally:
                with self._changed:
                    del self._runs[download_id]
                    run.ended.set()

    def _run(self, download_id: str, run: DownloadRun) -> None:
        try:
            with connection(self._database):
                row = records.find(download_id)
                assert row is not None
                run.carry_out(row, self._register, self._count)
                if row.status in (records.DONE, records.FAILED):
                    self._on_end(row)
        except peewee.PeeweeException:
            logger.warning("download put back: the database does not answer", exc_info=True)
            self._put_back(download_id, run)
        except Exception:
            # The top of the thread: the next download must not wait for ever. A restart goes on with this one.
            logger.exception("download lost", extra={"download": download_id})

    def _put_back(self, download_id: str, run: DownloadRun) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped, DATABASE_PAUSE)
            self._waiting.appendleft(download_id)
            if run.token is not None:
                self._tokens[download_id] = run.token

    def _job(self, row: ModelDownload, token: str | None) -> DownloadJob:
        options = self._options
        with self._changed:
            others = [run.progress for key, run in self._runs.items() if key != row.id]
        reserved = sum((other.total or 0) - (other.done or 0) for other in others)
        wanted = (records.request_of(row), options.endpoint, options.models, options.load, options.patience)
        return DownloadJob(*wanted, reserved=reserved, token=token)

    def _count(self, new: int) -> None:
        with self._changed:
            self._bytes += new
