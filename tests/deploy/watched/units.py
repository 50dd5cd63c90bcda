"""A real systemd that is not the machine's: a user's manager with units of the test, on a bus of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.deploy.watched.monitoring import REPOSITORY
from tests.waiting import until

MANAGER = Path("/usr/lib/systemd/systemd")
PROGRAMS = ("dbus-daemon", "systemctl", "unshare")


def missing() -> str | None:
    """Why there can be none here, or None."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent or not MANAGER.exists():
        return f"not installed: apt-get install systemd dbus-daemon ({', '.join(absent)})"
    return None if os.geteuid() == 0 else "a systemd of the test's own needs root"


class Units:
    """Started and stopped with all of its units. A manager asks whether the machine was booted with systemd, so it gets
    a /run of its own; what it writes lies in a folder that goes with it."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="units-"))  # short: the bus is a socket
        self.bus = f"unix:path={self.home / 'bus'}"
        self._units = self.home / "systemd" / "user"
        self._units.mkdir(parents=True)
        (self._units / "nothing.target").write_text("[Unit]\nDefaultDependencies=no\n")
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Return once it takes orders."""
        self._run(["dbus-daemon", "--session", f"--address={self.bus}", "--nofork", "--nopidfile"])
        until((self.home / "bus").exists)
        script = 'mount -t tmpfs run /run && mkdir -p /run/systemd/system && exec "$@"'
        manager = [str(MANAGER), "--user", "--unit=nothing.target"]
        self._run(["unshare", "--mount", "sh", "-c", script, "sh", *manager])
        until(lambda: self._systemctl("list-units").returncode == 0)

    def stop(self) -> None:
        """End what runs, and forget it."""
        for process in reversed(self._running):
            process.terminate()
            process.wait(300)
        shutil.rmtree(self.home)

    def write(self, name: str, command: Sequence[str], environment: Mapping[str, str], *more: str) -> None:
        """A unit that runs `command` in the repository; `more` are lines of its section [Service]."""
        settings = self.home / f"{name}.env"
        settings.write_text("".join(f'{key}="{value}"\n' for key, value in environment.items()))
        log = f"append:{self.log(name)}"
        lines = [f"ExecStart={' '.join(command)}", f"WorkingDirectory={REPOSITORY}", f"EnvironmentFile={settings}"]
        lines += [f"StandardOutput={log}", f"StandardError={log}", "KillMode=mixed", *more]
        # Limits of starts are off, as in the units of production.
        text = "\n".join(["[Unit]", "StartLimitIntervalSec=0", "[Service]", *lines, ""])
        (self._units / f"{name}.service").write_text(text)
        # Enabled, as in production: systemd forgets a unit that has stopped and that nothing wants.
        wanted = self._units / "nothing.target.wants" / f"{name}.service"
        wanted.parent.mkdir(exist_ok=True)
        if not wanted.is_symlink():
            wanted.symlink_to(self._units / f"{name}.service")
        self.order("daemon-reload")

    def run(self, name: str, command: Sequence[str], environment: Mapping[str, str], *more: str) -> None:
        """Write and start it: one of our programs, which is started again when it dies."""
        self.write(name, command, environment, "Restart=always", "RestartSec=0.2", *more)
        self.order("start", f"{name}.service")

    def order(self, *words: str) -> None:
        """`systemctl WORDS`; what it takes has been done."""
        done = self._systemctl(*words)
        assert done.returncode == 0, done.stderr

    def log(self, name: str) -> Path:
        """What a unit printed."""
        return self.home / f"{name}.log"

    def _systemctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = ["systemctl", "--user", *words]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=120)

    def _run(self, command: list[str]) -> None:
        with (self.home / "manager.log").open("ab") as log:
            self._running.append(subprocess.Popen(command, env=self._environment, stdout=log, stderr=log))

    @property
    def _environment(self) -> dict[str, str]:
        own = {"HOME": self.home, "XDG_RUNTIME_DIR": self.home, "XDG_CONFIG_HOME": self.home}
        return {"PATH": os.environ["PATH"], "DBUS_SESSION_BUS_ADDRESS": self.bus, **{k: str(v) for k, v in own.items()}}


def python(module: str, role: str) -> list[str]:
    """The command of one of our programs."""
    return [sys.executable, "-m", module, role]
