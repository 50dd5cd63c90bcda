"""A worker or the poller as a process: SIGTERM ends it."""

from __future__ import annotations

import threading

from common.process import Progress, start_scheduler
from common.redis_store import RedisAway
from common.scheduler import Scheduler
from telegram_service.poller import Poller
from telegram_service.worker import Worker

AFTER_AWAY = 2.0  # seconds: when Redis comes back, every worker renews its leases before any takes what seems lost
SILENCE = 30.0  # seconds without a turn of its loop after which a process counts as hanging


def run_worker(
    worker: Worker, scheduler: Scheduler, stopping: threading.Event, progress: Progress, *, grace: float
) -> None:
    """Work until `stopping`, then let what runs end within `grace` seconds. The process must end afterwards."""
    worker.start()
    starting = threading.Thread(target=start_scheduler, args=(scheduler, stopping), daemon=True)
    starting.start()
    while not stopping.is_set():
        if worker.is_well():
            progress.note()
        try:
            worker.unit()
        except RedisAway:
            stopping.wait(AFTER_AWAY)
    worker.finish(grace)
    scheduler.stop()


def run_poller(poller: Poller, stopping: threading.Event, progress: Progress) -> None:
    """Poll until `stopping`. A poll that waits for Telegram is not waited for: what it brings was not confirmed, and
    comes again."""
    thread = threading.Thread(target=poller.run, args=(stopping, progress.note), name="poll", daemon=True)
    thread.start()
    stopping.wait()
