"""/admin: cleaning up, log files, and how the system is. All routes need the scope `admin`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ai_core.api import examples
from ai_core.api.access import SECURITY, requires
from ai_core.api.admin_schemas import (
    CleanupResultSchema,
    CleanupSchema,
    LogPageSchema,
    LogQuerySchema,
    PurgeResultSchema,
    PurgeSchema,
    SystemStatusSchema,
)
from ai_core.api.audit import audit_target
from ai_core.api.blueprint import Blueprint
from ai_core.api.documented import KEYED, WITH_BODY, errors
from ai_core.cleanup import Cleanup
from ai_core.cleanup import Outcome as Cleaned
from ai_core.model_host import ModelHost
from ai_core.storage import utc_now
from ai_core.system_status import Room, SystemStatus, system_status
from common.errors import ServiceError
from common.health import Check
from common.log_files import LEVELS, purgeable, remove, search
from common.scheduler import JobRun

PREFIX = "/api/v1/admin"


def maintenance_blueprint(cleanup: Cleanup, log_directory: Path) -> Blueprint:
    """What an operator does to make room."""
    blueprint = Blueprint("admin", __name__, url_prefix=PREFIX, description="Maintenance")

    @blueprint.route("/cleanup", methods=["POST"])
    @requires("admin")
    @errors(blueprint, *KEYED, *WITH_BODY, 409, 503)
    @blueprint.doc(security=SECURITY)
    @blueprint.arguments(CleanupSchema, example=examples.CLEANUP)
    @blueprint.response(200, CleanupResultSchema)
    def clean_up(body: dict[str, Any]) -> dict[str, Any]:
        """Remove what can be removed without loss

        `clean_logs`: log files older than LOG_RETENTION_DAYS. `clean_cache`: cached answers. `clean_models`: downloads
        that were given up, and files that belong to no model; never a declared or loaded model. `clean_temp`: what
        killed processes left. 409 while answers are generated (unless `force`) and while another cleanup runs.
        """
        audit_target(",".join(dict.fromkeys(body["operations"])))
        outcome = cleanup.run(body["operations"], force=body["force"], dry_run=body["dry_run"])
        if not outcome.completed:
            raise ServiceError(500, "cleanup_failed", f"Failed: {', '.join(outcome.failed)}. The log says why.")
        return _cleaned(outcome, dry_run=body["dry_run"])

    @blueprint.route("/purge-logs", methods=["POST"])
    @requires("admin")
    @errors(blueprint, *KEYED, *WITH_BODY)
    @blueprint.doc(security=SECURITY)
    @blueprint.arguments(PurgeSchema, example=examples.PURGE, required=False)
    @blueprint.response(200, PurgeResultSchema)
    def purge_logs(body: dict[str, Any]) -> dict[str, Any]:
        """Remove old log files; never today's, never one of the `keep_latest_files` newest"""
        levels = body.get("log_levels", LEVELS)
        audit_target(",".join(levels))
        old = purgeable(
            log_directory,
            older_than_days=body["older_than_days"],
            keep_latest=body["keep_latest_files"],
            levels=levels,
        )
        files, freed = remove(old)
        message = f"{files} log files removed."
        return {
            "status": "completed",
            "message": message,
            "files_removed": files,
            "space_freed": freed,
            "purged_at": utc_now(),
        }

    return blueprint


def observation_blueprint(
    data_dir: Path,
    log_directory: Path,
    host: ModelHost,
    checks: Mapping[str, Callable[[], Check]],
    jobs: Callable[[], list[JobRun]],
) -> Blueprint:
    """What an operator looks at."""
    blueprint = Blueprint("observation", __name__, url_prefix=PREFIX, description="State of the system")

    @blueprint.route("/system-status", methods=["GET"])
    @requires("admin")
    @errors(blueprint, *KEYED)
    @blueprint.doc(security=SECURITY)
    @blueprint.response(200, SystemStatusSchema)
    def status() -> dict[str, Any]:
        """Disk, memory, model, queue, components and jobs, and whether anything needs a look"""
        return _shown(system_status(data_dir, host, checks, jobs()))

    @blueprint.route("/logs", methods=["GET"])
    @requires("admin")
    @errors(blueprint, *KEYED, 422)
    @blueprint.doc(security=SECURITY)
    @blueprint.arguments(LogQuerySchema, location="query")
    @blueprint.response(200, LogPageSchema)
    def logs(query: dict[str, Any]) -> dict[str, Any]:
        """The newest log lines of a day; they never hold what people wrote

        `next` is the value of `before` for the following page, null after the last one.
        """
        page = search(
            log_directory,
            day=query.get("day") or datetime.now(timezone.utc).date(),
            levels=[query["level"]] if "level" in query else LEVELS,
            limit=query["limit"],
            request_id=query.get("request_id"),
            before=query.get("before"),
        )
        return {"lines": page.lines, "next": page.before, "complete": page.complete}

    return blueprint


def _cleaned(outcome: Cleaned, *, dry_run: bool) -> dict[str, Any]:
    status = "dry_run" if dry_run else "partial" if outcome.failed else "completed"
    would = "would be " if dry_run else ""
    message = f"{outcome.space_freed} bytes {would}freed."
    if outcome.failed:
        message += f" Failed: {', '.join(outcome.failed)}; the log says why."
    return {
        "status": status,
        "message": message,
        "operations_completed": outcome.completed,
        "space_freed": outcome.space_freed,
        "started_at": outcome.started_at,
    }


def _shown(status: SystemStatus) -> dict[str, Any]:
    engine = status.engine
    return {
        "status": status.status,
        "reasons": status.reasons,
        "disk_usage": _room(status.disk),
        "memory_usage": _room(status.memory),
        "model_status": {"loaded_model": status.loaded_model, "model_memory_usage": status.model_memory_usage},
        "last_cleanup": status.last_cleanup,
        "queue": {
            "waiting": 0 if engine is None else engine.waiting,
            "running": 0 if engine is None else engine.slots_busy,
            "slots": 0 if engine is None else engine.slots_total,
        },
        "components": {name: asdict(check) for name, check in status.components.items()},
        "jobs": status.jobs,
        "timestamp": utc_now(),
    }


def _room(room: Room) -> dict[str, Any]:
    return {**asdict(room), "usage_percent": room.usage_percent}
