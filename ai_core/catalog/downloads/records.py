"""What the database knows of downloads: the queue as it will be after a restart, and what became of each."""

from __future__ import annotations

import secrets
import socket
from typing import Any

import peewee

from ai_core.catalog.downloads.request import DownloadRequest
from ai_core.storage import ModelDownload, utc_now

QUEUED, DOWNLOADING, VERIFYING = "queued", "downloading", "verifying"
DONE, FAILED, CANCELLED = "done", "failed", "cancelled"
UNFINISHED = (QUEUED, DOWNLOADING, VERIFYING)
STATUSES = (*UNFINISHED, DONE, FAILED, CANCELLED)
SHOWN = 200  # the newest ones


def create(request: DownloadRequest, *, had_token: bool) -> ModelDownload:
    """A new download in the queue."""
    row: ModelDownload = ModelDownload.create(
        id=secrets.token_hex(12),
        host=socket.gethostname(),
        request_key=request.key,
        model_name=request.model_name,
        model_format=request.model_format,
        filename=request.filename,
        revision=request.revision,
        had_token=had_token,
        status=QUEUED,
    )
    return row


def request_of(row: ModelDownload) -> DownloadRequest:
    """What was asked for."""
    return DownloadRequest(row.model_name, row.model_format, row.filename, row.revision)


def queue_again(row: ModelDownload, *, had_token: bool) -> None:
    """Put an unfinished or failed one at the end of the queue."""
    row.status, row.had_token = QUEUED, had_token
    row.error = row.error_code = row.finished_at = None
    row.save()


def find(download_id: str) -> ModelDownload | None:
    """By id, on this machine."""
    row: ModelDownload | None = ModelDownload.get_or_none(
        ModelDownload.id == download_id, ModelDownload.host == socket.gethostname()
    )
    return row


def pursued(request: DownloadRequest) -> ModelDownload | None:
    """The download of an equal request that is under way, else the one that failed last and can go on."""
    rows = _here(ModelDownload.request_key == request.key, ModelDownload.status.in_((*UNFINISHED, FAILED)))
    return min(rows, key=lambda row: row.status == FAILED, default=None)


def newest() -> list[ModelDownload]:
    """The newest first."""
    return _here()[:SHOWN]


def unfinished() -> list[ModelDownload]:
    """The oldest first."""
    return _here(ModelDownload.status.in_(UNFINISHED))[::-1]


def save_status(row: ModelDownload, status: str) -> None:
    """Note the status, and when it came to its end."""
    row.status = status
    if status not in UNFINISHED:
        row.finished_at = utc_now()
    row.save()


def count_by_status() -> dict[str, int]:
    """How many there are with each status."""
    counted = dict.fromkeys(STATUSES, 0)
    query = ModelDownload.select(ModelDownload.status, peewee.fn.COUNT(ModelDownload.id))
    here = ModelDownload.host == socket.gethostname()
    rows: Any = query.where(here).group_by(ModelDownload.status).tuples()
    return counted | dict(rows)


def _here(*conditions: object) -> list[ModelDownload]:
    query = ModelDownload.select().where(ModelDownload.host == socket.gethostname(), *conditions)
    return list(query.order_by(ModelDownload.created_at.desc(), ModelDownload.id))
