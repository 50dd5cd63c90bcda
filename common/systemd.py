"""What a service tells systemd: that it is ready, how it is, and that it is alive (sd_notify(3), systemd.service(5)).

A gunicorn worker is a child of the unit's main process: the unit needs NotifyAccess=all, or systemd drops what it says.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

SEND_WITHIN = 1.0  # seconds: a datagram waits when systemd's queue is full
WITHOUT_WATCHDOG = 10.0  # seconds between looks at the status text


class Notifier:
    """Sends assignments such as READY=1 to the socket that NOTIFY_SOCKET names; "@" begins an abstract one."""

    def __init__(self, address: str | None) -> None:
        self._address = None if address is None else ("\0" + address[1:] if address.startswith("@") else address)

    def send(self, *assignments: str) -> None:
        """One datagram; nothing where there is no systemd. A failure is logged: the service works without."""
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(SEND_WITHIN)
                sender.sendto("\n".join(assignments).encode(), self._address)
        except OSError as error:
            logger.warning("systemd cannot be told", extra={"reason": error.strerror or type(error).__name__})


def watchdog_interval(microseconds: int, pid: int) -> float | None:
    """Seconds between two signs of life for WATCHDOG_USEC and WATCHDOG_PID (0 where unset): half of what systemd
    allows. None where it expects none, or expects them of a process that is neither this one nor its parent."""
    if microseconds <= 0 or pid not in (0, os.getpid(), os.getppid()):
        return None
    return microseconds / 2_000_000


class Heartbeat:
    """Says READY=1 once, then, every `interval` seconds, `status()` and, as long as `is_able()`, WATCHDOG=1. Without
    an interval it only keeps the status up to date."""

    def __init__(
        self, notifier: Notifier, *, interval: float | None, is_able: Callable[[], bool], status: Callable[[], str]
    ) -> None:
        self._notifier = notifier
        self._interval = interval
        self._is_able = is_able
        self._status = status
        self._was_able = True
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin, from a thread of its own. Call it once the port answers."""
        self._notifier.send("READY=1", f"STATUS={self._status()}")
        self._thread.start()

    def stop(self) -> None:
        """Fall silent."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def beat(self) -> None:
        """One sign of life, or a reason why there is none."""
        able = self._is_able()
        if self._was_able and not able:
            logger.error("no sign of life to systemd: the engine is stalled")
        self._was_able = able
        alive = ["WATCHDOG=1"] if able and self._interval is not None else []
        self._notifier.send(*alive, f"STATUS={self._status()}")

    def _run(self) -> None:
        while not self._stopping.wait(self._interval or WITHOUT_WATCHDOG):
            try:
                self.beat()
            except Exception:
                # Without a sign of life systemd restarts the service, which is right if this goes on.
                logger.exception("heartbeat failed")
