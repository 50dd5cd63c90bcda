"""/models/download and /models/downloads: fetch models from the Hugging Face Hub, watch, cancel."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import peewee
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ai_core.api import examples
from ai_core.api.access import SECURITY, requires
from ai_core.api.audit import audit_target
from ai_core.api.blueprint import Blueprint
from ai_core.api.documented import KEYED, WITH_BODY, errors
from ai_core.api.download_schemas import DownloadListSchema, DownloadSchema, NewDownloadSchema
from ai_core.catalog.downloads import records
from ai_core.catalog.downloads.errors import TooManyDownloads
from ai_core.catalog.downloads.progress import Progress
from ai_core.catalog.downloads.queue import Downloads
from ai_core.catalog.downloads.request import DownloadRequest
from ai_core.catalog.errors import InvalidEntry
from ai_core.storage import ModelDownload
from common.errors import InvalidFields, ServiceError

logger = logging.getLogger(__name__)

DOWNLOAD_ID = "/<string(maxlength=32):download_id>"
QUEUE_RETRY = 60.0  # seconds


def downloads_blueprint(downloads: Downloads) -> Blueprint:
    """The routes; all need the scope `models`."""
    blueprint = Blueprint("downloads", __name__, url_prefix="/api/v1/models", description="Models from the Hub")

    @blueprint.route("/download", methods=["POST"])
    @requires("models")
    @errors(blueprint, *KEYED, *WITH_BODY, 503)
    @blueprint.doc(security=SECURITY)
    @blueprint.arguments(NewDownloadSchema, example=examples.NEW_DOWNLOAD)
    @blueprint.response(202, DownloadSchema)
    def begin(body: dict[str, Any]) -> dict[str, Any]:
        """Fetch a model from the Hugging Face Hub

        The answer comes at once; ask `GET /models/downloads/{id}` how far it is. A request for what is being fetched
        already joins that download; one for what failed goes on with it, and no byte comes twice. Once done, the model
        is declared under its `model_id` and can be loaded. A missing or gated model, a damaged file, a full disk: the
        download becomes `failed`, with `error_code` and `error`.
        """
        token = body.pop("auth_token", None)
        audit_target(body["model_name"])
        try:
            row = downloads.begin(DownloadRequest(**body), token)
        except InvalidEntry as error:
            raise InvalidFields({error.field: [str(error)]}) from error
        except TooManyDownloads as error:
            raise ServiceError(503, "too_many_downloads", str(error), retry_after=QUEUE_RETRY) from error
        return shown(row, downloads.progress(row.id))

    @blueprint.route("/downloads", methods=["GET"])
    @requires("models")
    @errors(blueprint, *KEYED)
    @blueprint.doc(security=SECURITY)
    @blueprint.response(200, DownloadListSchema)
    def list_all() -> dict[str, Any]:
        """List the downloads, the newest first, 200 at most"""
        return {"downloads": [shown(row, downloads.progress(row.id)) for row in downloads.newest()]}

    @blueprint.route(f"/downloads{DOWNLOAD_ID}", methods=["GET"])
    @requires("models")
    @errors(blueprint, *KEYED, 404)
    @blueprint.doc(security=SECURITY)
    @blueprint.response(200, DownloadSchema, example=examples.DOWNLOAD)
    def show(download_id: str) -> dict[str, Any]:
        """How far a download is"""
        return shown(_found(downloads.find(download_id)), downloads.progress(download_id))

    @blueprint.route(f"/downloads{DOWNLOAD_ID}", methods=["DELETE"])
    @requires("models")
    @errors(blueprint, *KEYED, 404, 409)
    @blueprint.doc(security=SECURITY)
    @blueprint.response(200, DownloadSchema)
    def cancel(download_id: str) -> dict[str, Any]:
        """Cancel a download and remove what it has fetched; one that is done is refused"""
        row = _found(downloads.cancel(download_id))
        if row.status == records.DONE:
            raise ServiceError(
                409, "download_done", "The model is there already; DELETE /models/{model_id} removes it."
            )
        return shown(row, downloads.progress(download_id))

    return blueprint


def shown(row: ModelDownload, progress: Progress | None) -> dict[str, Any]:
    """A download as clients see it: what the database has, and while it runs what is newer."""
    names = [name for name in DownloadSchema._declared_fields if hasattr(row, name)]
    done, total = row.bytes_done, row.bytes_total
    if progress is not None and progress.done is not None:
        done, total = progress.done, progress.total
    percent = 100 if row.status == records.DONE else min(99, done * 100 // total) if total else 0
    return {name: getattr(row, name) for name in names} | {
        "progress": percent,
        "bytes_done": done,
        "bytes_total": total,
        "bytes_per_second": progress.bytes_per_second if progress else None,
        "estimated_seconds": progress.estimated_seconds if progress else None,
        "message": (progress.message if progress else None) or row.reason,
    }


class DownloadsCollector(Collector):
    """Downloads by status, and the bytes that came, for Prometheus."""

    def __init__(self, downloads: Downloads) -> None:
        self._downloads = downloads

    def collect(self) -> Iterable[Metric]:
        """The figures of this moment; none while the database is away, which must not take the others with it."""
        try:
            by_status, fetched = self._downloads.counts()
        except peewee.PeeweeException:
            logger.warning("downloads not counted: the database does not answer")
            return
        rows = GaugeMetricFamily("ai_core_downloads", "Downloads from the Hub by status.", labels=["status"])
        for status, count in by_status.items():
            rows.add_metric([status], count)
        yield rows
        yield CounterMetricFamily("ai_core_download_bytes", "Bytes fetched from the Hub.", value=fetched)


def _found(row: ModelDownload | None) -> ModelDownload:
    if row is None:
        raise ServiceError(404, "unknown_download", "There is no such download.")
    return row
