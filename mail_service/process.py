"""The poller and the workers as processes: SIGTERM ends them after the unit at hand, systemd hears that they live."""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
import time

import peewee

from common.scheduler import Scheduler
from common.systemd import Heartbeat, Notifier, watchdog_interval
from mail_service.poll import IdleWatch, Poller
from mail_service.settings import Settings
from mail_service.work import MailWork

logger = logging.getLogger(__name__)

IDLE_SECONDS = 0.5  # between two looks for work
LONGEST_BACKOFF = 30.0  # seconds, while the database is away
STUCK = 70  # exit status: EX_SOFTWARE of sysexits.h
STUCK_AFTER = 1.5  # times PROCESSING_TIMEOUT


class Progress:
    """When a loop last came round: one that does not any more is no longer alive."""

    def __init__(self) -> None:
        self._at = time.monotonic()

    def note(self) -> None:
        """The loop goes on."""
        self._at = time.monotonic()

    def is_recent(self, seconds: float) -> bool:
        """Whether it came round within `seconds`."""
        return time.monotonic() - self._at < seconds


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


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


def end_when_stuck(progress: Progress, seconds: float) -> None:
    """Watch from a thread: end this process at once when its loop has not come round for `seconds`. Whoever supervises
    it starts a new one, and the message at hand comes back when its lease is over."""

    def watch() -> None:
        while progress.is_recent(seconds):
            time.sleep(min(5.0, seconds / 10))
        logger.critical("stuck: ending")
        os._exit(STUCK)

    threading.Thread(target=watch, name="watchdog", daemon=True).start()


def start_scheduler(scheduler: Scheduler, stopping: threading.Event) -> None:
    """Start it as soon as the database answers."""
    while not stopping.is_set():
        try:
            scheduler.start()
            return
        except peewee.PeeweeException as error:
            logger.error("database away", extra={"reason": type(error).__name__})
            stopping.wait(2.0)


def heartbeat(settings: Settings, progress: Progress, status: str) -> Heartbeat:
    """Signs of life for as long as the loop comes round within PROCESSING_TIMEOUT."""
    return Heartbeat(
        Notifier(settings.notify_socket),
        interval=watchdog_interval(settings.watchdog_usec, settings.watchdog_pid),
        is_able=lambda: progress.is_recent(settings.processing_timeout),
        status=lambda: status,
    )
