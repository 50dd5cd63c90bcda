"""What worker processes share: SIGTERM ends them after the work at hand, systemd hears that they live, and one that
hangs ends itself."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time

import peewee

from common.scheduler import Scheduler
from common.systemd import Heartbeat, Notifier, watchdog_interval

logger = logging.getLogger(__name__)

STUCK = 70  # exit status: EX_SOFTWARE of sysexits.h


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


def end_when_stuck(progress: Progress, seconds: float) -> None:
    """Watch from a thread: end this process at once when its loop has not come round for `seconds`. Whoever supervises
    it starts a new one, and the work at hand comes back when its lease is over."""

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


def heartbeat(
    notify_socket: str | None, interval_usec: int, watchdog_pid: int, progress: Progress, silence: float, status: str
) -> Heartbeat:
    """Signs of life to systemd for as long as the loop comes round within `silence` seconds."""
    return Heartbeat(
        Notifier(notify_socket),
        interval=watchdog_interval(interval_usec, watchdog_pid),
        is_able=lambda: progress.is_recent(silence),
        status=lambda: status,
    )
