"""A part of the system as systemd runs it: started again when it dies, its socket held by somebody else."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
RESTART_AFTER = 2.0  # seconds, RestartSec of our units
LOOK_EVERY = 0.05  # seconds
STOP_WITHIN = 90.0  # seconds, TimeoutStopSec of our workers
# What systemd does for a .socket unit: descriptor 3, and whose it is (sd_listen_fds(3)).
HANDED_OVER = 'exec 3<&"$0"; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"'


@dataclass(frozen=True)
class Unit:
    """What a unit file says. `listens`: a port whose socket outlives the process; `user` None: whoever runs us."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path = ROOT
    listens: int | None = None
    user: str | None = None
    stop: signal.Signals = signal.SIGTERM
    log: Path = field(default=Path("/dev/null"))


class Component:
    """A running unit with the whole tree of its processes."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.died = 0  # times that it was started again
        self._socket = None if unit.listens is None else socket.create_server(("127.0.0.1", unit.listens), backlog=512)
        self._process: subprocess.Popen[bytes] | None = None
        self._guard = threading.RLock()  # of _process
        self._ending = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name=unit.name, daemon=True)

    def start(self) -> None:
        """Start it, and again whenever it ends."""
        self._process = self._launch()
        self._supervisor.start()

    def kill(self) -> None:
        """kill -9, with all its processes."""
        self._signal_all(signal.SIGKILL)

    def pause(self) -> None:
        """It keeps its connections and does nothing."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on as if no time had passed."""
        self._signal_all(signal.SIGCONT)

    def restart(self) -> None:
        """As `systemctl restart`: ended in order, then started at once."""
        with self._guard:
            self._end()
            self._process = self._launch()

    def stop(self) -> None:
        """End it for good."""
        self._ending.set()
        if self._supervisor.is_alive():
            self._supervisor.join()
        self.resume()
        self._end()
        if self._socket is not None:
            self._socket.close()

    def _launch(self) -> subprocess.Popen[bytes]:
        unit = self.unit
        command, given = list(unit.command), [] if self._socket is None else [self._socket.fileno()]
        if given:
            command = ["bash", "-c", HANDED_OVER, str(given[0]), *command]
        with unit.log.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=unit.folder,
                env=dict(unit.environment),
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=given,
                user=unit.user,
                group=unit.user,
                extra_groups=None if unit.user is None else (),
            )

    def _tree(self) -> list[psutil.Process]:
        """Its processes, the first one last; none where it does not run."""
        with self._guard:
            if self._process is None or self._process.poll() is not None:
                return []
            try:
                top = psutil.Process(self._process.pid)
                return [*top.children(recursive=True), top]
            except psutil.NoSuchProcess:
                return []

    def _signal_all(self, which: signal.Signals) -> None:
        for process in reversed(self._tree()):
            _signal(process, which)

    def _end(self) -> None:
        tree = self._tree()
        if self._process is None or not tree:
            return
        self._process.send_signal(self.unit.stop)
        try:
            self._process.wait(STOP_WITHIN)
        finally:
            for left in tree:  # KillMode=mixed
                _signal(left, signal.SIGKILL)

    def _supervise(self) -> None:
        while not self._ending.wait(LOOK_EVERY):
            with self._guard:
                dead = self._process is not None and self._process.poll() is not None
            if not dead or self._ending.wait(RESTART_AFTER):
                continue
            with self._guard:
                if self._process is not None and self._process.poll() is not None:
                    self.died += 1
                    self._process = self._launch()


def _signal(process: psutil.Process, which: signal.Signals) -> None:
    try:
        process.send_signal(which)  # psutil looks whether the id was given to another process meanwhile
    except psutil.NoSuchProcess:
        return


def wait_for_port(port: int, seconds: float = 60.0) -> None:
    """Return once something listens there."""
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise TimeoutError(f"nothing listens on port {port}") from None
            time.sleep(0.05)
