"""The loops of the poller and the workers."""

from __future__ import annotations

import logging
import random
import threading

import peewee

from common.process import Progress, start_scheduler
from common.scheduler import Scheduler
from mail_service.poll import IdleWatch, Poller
from mail_service.work import MailWork

logger = logging.getLogger(__name__)

IDLE_SECONDS = 0.5  # between two looks for work
LONGEST_BACKOFF = 30.0  # seconds, while the database is away
STUCK_AFTER = 1.5  # times PROCESSING_TIMEOUT


def run_worker(work: MailWork, stopping: threading.Event, progress: Progress) -> None:
    """Do one unit after another until `stopping`."""
    failures = 0
    while not stopping.is_set():
        progress.note()
        try:
            busy = work.unit()
            failures = 0
        except peewee.PeeweeException as error:
            failures += 1
            logger.error("database away", extra={"reason": type(error).__name__})
            stopping.wait(min(LONGEST_BACKOFF, 0.5 * 2 ** min(failures, 8)) * random.uniform(0.5, 1.0))
        else:
            if not busy:
                stopping.wait(IDLE_SECONDS)


def run_poller(
    poller: Poller, idle: IdleWatch, scheduler: Scheduler, stopping: threading.Event, progress: Progress
) -> None:
    """Poll by the clock and by IDLE until `stopping`."""
    watch = threading.Thread(target=idle.run, args=(stopping,), name="idle", daemon=True)
    watch.start()
    start_scheduler(scheduler, stopping)
    poller.run(stopping, progress.note)
    scheduler.stop()
    watch.join(5)
