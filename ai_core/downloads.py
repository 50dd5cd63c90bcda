"""Downloads as the settings want them, and what the service does with a model that has come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import peewee

from ai_core.catalog import model_folder
from ai_core.catalog.declaration import HUB_NAME
from ai_core.catalog.downloads import records
from ai_core.catalog.downloads.queue import DownloadOptions, Downloads
from ai_core.catalog.downloads.run import Landed
from ai_core.catalog.downloads.transfer import Patience
from ai_core.catalog.memory import Load
from ai_core.catalog.registry import Registry
from ai_core.model_list import Coming
from ai_core.settings import Settings
from ai_core.storage import ModelDownload
from ai_core.webhooks import Webhooks


def coming_models() -> list[Coming]:
    """Those on their way, once it is known what they will be called."""
    return [
        Coming(row.model_id, row.format, row.bytes_total, row.model_name)
        for row in records.unfinished()
        if row.model_id is not None
    ]


def build_downloads(settings: Settings, database: peewee.Database, webhooks: Webhooks, registry: Registry) -> Downloads:
    """The queue, not started yet."""
    return Downloads(
        database,
        download_options(settings, registry.models),
        lambda landed: declare(registry, landed),
        lambda row: _tell(webhooks, row),
    )


def download_options(settings: Settings, models: Path) -> DownloadOptions:
    """From the environment's settings."""
    return DownloadOptions(
        endpoint=settings.hf_endpoint,
        models=models.absolute(),
        load=Load(slots=settings.engine_slots, context_length=settings.engine_context_length or None),
        at_once=settings.downloads_at_once,
        most_waiting=settings.max_waiting_downloads,
        patience=Patience(timeout=settings.download_timeout),
    )


def declare(registry: Registry, landed: Landed) -> str:
    """Put the model into models.json under an id that is no other model's; returns the id. One that the operator has
    declared already stays as it is. An adapter is declared on its base, whether that is here or not. Raises
    RegistryError."""
    row, models = landed.download, registry.all()
    for declared in models.values():
        if declared.source != "folder" and declared.entry is not None and declared.entry.path == landed.path:
            return declared.id
    fields: dict[str, Any] = {
        "path": _shown(landed.path, registry),
        "format": row.format,
        "source": f"{row.model_name}@{row.commit}",
        "requires_token": row.had_token,
    }
    if row.format == "lora":
        fields = _on_its_base(landed, fields)
    owner = row.model_name.partition("/")[0]
    names = (landed.folder.name, f"{owner}--{landed.folder.name}", row.id)
    model_id = next(name for name in names if name not in models or models[name].source == "folder")
    if "path" in fields:
        registry.add(model_id, fields)
    return model_id


def _on_its_base(landed: Landed, fields: dict[str, Any]) -> dict[str, Any]:
    base = model_folder.base_of_adapter(landed.folder)
    if not HUB_NAME.fullmatch(base):
        return {}  # only the operator can say what it goes on
    return {name: value for name, value in fields.items() if name != "format"} | {
        "path": base,
        "adapter": fields["path"],
    }


def _shown(path: Path, registry: Registry) -> str:
    """Relative to models.json where it can be, so that DATA_DIR may move."""
    base = registry.file.parent.absolute()
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)


def _tell(webhooks: Webhooks, row: ModelDownload) -> None:
    about = {"download_id": row.id, "model_name": row.model_name, "model_id": row.model_id}
    if row.status == records.DONE:
        webhooks.emit("download.finished", about)
    else:
        webhooks.emit("download.failed", about | {"code": row.error_code})
