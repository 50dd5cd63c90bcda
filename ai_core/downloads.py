"""Downloads as the settings want them, and what the service does with a model that has come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import peewee

from ai_core.catalog.downloads import records
from ai_core.catalog.downloads.queue import DownloadOptions, Downloads
from ai_core.catalog.downloads.transfer import Patience
from ai_core.catalog.memory import Load
from ai_core.settings import Settings
from ai_core.storage import ModelDownload
from ai_core.webhooks import Webhooks


def build_downloads(
    settings: Settings, database: peewee.Database, webhooks: Webhooks, register: Callable[[Mapping[str, Any]], None]
) -> Downloads:
    """The queue, not started yet; `register` puts a model into models.json."""
    return Downloads(database, download_options(settings), register, lambda row: _tell(webhooks, row))


def download_options(settings: Settings) -> DownloadOptions:
    """From the environment's settings."""
    return DownloadOptions(
        endpoint=settings.hf_endpoint,
        models=settings.data_dir.absolute() / "models",
        load=Load(slots=settings.engine_slots, context_length=settings.engine_context_length or None),
        at_once=settings.downloads_at_once,
        most_waiting=settings.max_waiting_downloads,
        patience=Patience(timeout=settings.download_timeout),
    )


def _tell(webhooks: Webhooks, row: ModelDownload) -> None:
    about = {"download_id": row.id, "model_name": row.model_name, "model_id": row.model_id}
    if row.status == records.DONE:
        webhooks.emit("download.finished", about)
    else:
        webhooks.emit("download.failed", about | {"code": row.error_code})
