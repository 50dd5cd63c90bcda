"""Processes that are started again when they die, as systemd does it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOOK_EVERY = 0.05  # seconds
STOP_WITHIN = 60.0  # seconds


class Supervised:
    """`commands` by name, in the order in which they start; all get `environment` alone and write to `log`."""

    def __init__(self, commands: Mapping[str, Sequence[str]], environment: Mapping[str, str], log: Path) -> None:
        self.died = 0  # processes that were started again
        self._commands = commands
        self._environment = environment
        self._log = log
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._guard = threading.Lock()
        self._ending = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)

    def start(self) -> None:
        """Start all of them."""
        for name in self._commands:
            self._running[name] = self._start(name)
        self._supervisor.start()

    def stop(self) -> None:
        """SIGTERM to all, and wait for their end. A second call does nothing."""
        self._ending.set()
        if self._supervisor.is_alive():
            self._supervisor.join()
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            process.wait(STOP_WITHIN)
        self._running = {}

    def kill(self, name: str) -> None:
        """kill -9, with its children."""
        self.signal(name, signal.SIGKILL)

    def signal(self, name: str, which: signal.Signals) -> None:
        """Send a signal to a process and its children."""
        with self._guard:
            os.killpg(self._running[name].pid, which)

    def pids(self) -> dict[str, int]:
        """Each process's id now."""
        with self._guard:
            return {name: process.pid for name, process in self._running.items()}

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                list(self._commands[name]),
                cwd=ROOT,
                env=dict(self._environment),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _supervise(self) -> None:
        while not self._ending.wait(LOOK_EVERY):
            with self._guard:
                for name, process in self._running.items():
                    if process.poll() is not None:
                        self.died += 1
                        self._running[name] = self._start(name)
