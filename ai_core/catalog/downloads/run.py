"""One download being carried out: what its process says goes into the database and into the progress."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peewee

from ai_core.catalog.downloads import records
from ai_core.catalog.downloads.job import DownloadJob
from ai_core.catalog.downloads.process import DownloadProcess
from ai_core.catalog.downloads.progress import Progress
from ai_core.catalog.errors import CatalogError
from ai_core.storage import ModelDownload, utc_now

logger = logging.getLogger(__name__)

SAVE_EVERY = 2.0  # seconds
ASK_FOR_TOKEN = ("gated_model", "model_not_found", "access_denied")


@dataclass(frozen=True, slots=True)
class Landed:
    """A model that has come: its download, the folder it is in, and the file or folder to load."""

    download: ModelDownload
    folder: Path
    path: Path


Register = Callable[[Landed], str]
"""Declares a model and returns its id. Raises CatalogError, OSError."""


class DownloadRun:
    """`make_job` knows where things go; `token` is for this run alone. `ended` is set when all is written down."""

    def __init__(self, make_job: Callable[[ModelDownload, str | None], DownloadJob], token: str | None) -> None:
        self.progress = Progress()
        self.ended = threading.Event()
        self._make_job = make_job
        self.token = token
        self._mutex = threading.Lock()
        self._process: DownloadProcess | None = None
        self._killed = False
        self._cancelled = False
        self._saved = 0.0

    def carry_out(self, row: ModelDownload, register: Register, count: Callable[[int], None]) -> None:
        """To its end, which `row` has then; a killed run leaves it as it is, to be gone on with. `count` hears of new
        bytes."""
        row.started_at = row.started_at or utc_now()
        records.save_status(row, records.DOWNLOADING)
        job = self._make_job(row, self.token)
        self._process = process = DownloadProcess(job)
        with self._mutex:
            if self._killed:
                process.kill()
        last: dict[str, Any] = {}
        for last in process.events():
            self._hear(row, last, count)
        if last.get("event") == "done":
            self._finish(row, last, register)
        elif self._cancelled:
            job.folder.remove()
            records.save_status(row, records.CANCELLED)
        elif last.get("event") == "failed":
            self._fail(row, str(last["code"]), str(last["message"]))

    def kill(self) -> None:
        """End it, to be gone on with later."""
        with self._mutex:
            self._killed = True
            if self._process is not None:
                self._process.kill()

    def cancel(self) -> None:
        """End it for good."""
        self._cancelled = True
        self.kill()

    def _hear(self, row: ModelDownload, event: Mapping[str, Any], count: Callable[[int], None]) -> None:
        kind = event["event"]
        if kind == "planned":
            self.progress.total = row.bytes_total = event["total"]
            row.commit, row.format, row.reason = event["commit"], event["format"], event["reason"] or None
            self._save(row)
        elif kind == "bytes":
            count(self.progress.reach(event["done"]))
            self.progress.message = None
            row.bytes_done = event["done"]
            if time.monotonic() - self._saved > SAVE_EVERY:
                self._save(row)
        elif kind == "step":
            row.status = event["step"]
            self._save(row)
        elif kind == "waiting":
            self.progress.message = f"{event['message']} Next attempt in {event['seconds']:.0f} s."

    def _save(self, row: ModelDownload) -> None:
        self._saved = time.monotonic()
        try:
            row.save()
        except peewee.PeeweeException:
            # The download goes on; its end is written again and again until it succeeds, or a restart sees it.
            logger.warning("progress of a download not written", extra={"download": row.id}, exc_info=True)

    def _finish(self, row: ModelDownload, event: Mapping[str, Any], register: Register) -> None:
        try:
            row.model_id = register(Landed(row, Path(event["folder"]), Path(event["path"])))
        except (CatalogError, OSError) as error:
            logger.exception("downloaded model not declared", extra={"download": row.id})
            self._fail(row, "not_declared", f"The model is there, but could not be declared: {error}")
        else:
            records.save_status(row, records.DONE)
            logger.info("model downloaded", extra={"model_id": row.model_id, "bytes": row.bytes_total})

    def _fail(self, row: ModelDownload, code: str, message: str) -> None:
        if code in ASK_FOR_TOKEN and row.had_token and self.token is None:
            code = "token_needed"
            message = "The service was restarted, and tokens are not kept: send the same request with auth_token again."
        row.error_code, row.error = code, message
        records.save_status(row, records.FAILED)
        logger.warning("download failed", extra={"download": row.id, "code": code})
