"""The AI core's regular jobs. Those over shared data run once, however many processes there are."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import peewee

from ai_core import audit, usage_sums
from ai_core.component_watch import LOOK_EVERY, ComponentWatch
from ai_core.idle_model import IdleModel
from ai_core.knowledge import importer, sheet_importer
from ai_core.knowledge.current import CurrentKnowledge
from ai_core.knowledge.errors import KnowledgeError
from ai_core.settings import Settings
from ai_core.webhooks import Webhooks
from common.health import Check
from common.log_files import purgeable, remove
from common.scheduler import Scheduler

logger = logging.getLogger(__name__)

MINUTE, HOUR = 60.0, 3600.0
IDLE_LOOK = 30.0  # seconds
DELIVER_EVERY = 5.0


def regular_jobs(
    settings: Settings,
    database: peewee.Database,
    *,
    idle: IdleModel,
    webhooks: Webhooks,
    checks: Mapping[str, Callable[[], Check]],
) -> Scheduler:
    """The scheduler with all jobs, not started yet."""
    host = socket.gethostname()[:30]
    scheduler = Scheduler(database, "ai_core")
    # Files are a host's own: each host purges its own, whichever database it shares with others.
    scheduler.every(f"log purge {host}", 6 * HOUR, lambda: purge_logs(settings))
    scheduler.every("quota roll-up", HOUR, lambda: usage_sums.roll_up(database))
    scheduler.every("retention", 6 * HOUR, lambda: keep_within_retention(settings, database, webhooks))
    if settings.knowledge_update_at is not None:
        scheduler.daily("knowledge update", settings.knowledge_update_at, lambda: update_knowledge(settings, database))
    if settings.model_idle_unload_minutes:
        scheduler.every_process("idle unload", IDLE_LOOK, idle.look)
    if settings.webhook_urls:
        watch = ComponentWatch(database, host, checks, webhooks.emit)
        scheduler.every(f"component watch {host}", LOOK_EVERY, watch.look, even_without_database=True)
        scheduler.every("webhooks", DELIVER_EVERY, webhooks.deliver, even_without_database=True)
    return scheduler


def purge_logs(settings: Settings) -> None:
    """Remove the log files that are too old."""
    old = purgeable(log_directory(settings), older_than_days=settings.log_retention_days, keep_latest=0)
    files, freed = remove(old)
    logger.info("logs purged", extra={"files": files, "bytes": freed})


def keep_within_retention(settings: Settings, database: peewee.Database, webhooks: Webhooks) -> None:
    """Delete what is kept for a limited time only."""
    gone = {
        "requests": usage_sums.forget_before(database, settings.usage_retention_days),
        "audit": audit.forget_before(database, settings.audit_retention_days),
        "webhooks": webhooks.forget_old(),
    }
    logger.info("retention", extra=gone)


def update_knowledge(settings: Settings, database: peewee.Database) -> None:
    """Fetch the newest Code du travail, and the practical sheets where they take part. A failure leaves the revision
    that serves as it is; the next day tries again.

    Raises KnowledgeError, which the scheduler notes.
    """
    try:
        revision = importer.update(database, settings.data_dir, settings.knowledge_file, progress=_progress)
        logger.info("knowledge is up to date", extra={"revision": revision})
        if settings.practical_sheets:
            revision = sheet_importer.update(database, settings.data_dir, settings.sheets_file, progress=_progress)
            logger.info("practical sheets are up to date", extra={"revision": revision})
    except KnowledgeError:
        logger.warning("the knowledge was not updated: the earlier revision stays active")
        raise


def compute_vectors(scheduler: Scheduler, knowledge: CurrentKnowledge) -> None:
    """Add the job that gives the articles the vectors that they lack. They are files: each host computes its own."""
    name = f"article vectors {socket.gethostname()[:30]}"
    scheduler.every(name, MINUTE, lambda: knowledge.compute_vectors(lambda: not scheduler.stopping.is_set()))


def log_directory(settings: Settings) -> Path:
    """Where the log files are."""
    return settings.data_dir / "logs"


def _progress(line: str) -> None:
    logger.debug("knowledge update", extra={"step": line})
