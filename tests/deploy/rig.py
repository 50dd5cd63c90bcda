"""The rig's guests: Debian hosts with a real systemd, on this machine. RIG names the program, shared by projects."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from tests.waiting import until

NETWORK = "10.77.0"
BRIDGE = f"{NETWORK}.1"
GUESTS = {"ai-core": 11, "telegram": 12, "mail": 13, "all-in-one": 14, "front": 15, "further": 16}
GUESTS |= {"lost-ai-core": 17, "lost-telegram": 18, "lost-mail": 19}
ALIASES = {f"{service}.one.test": "all-in-one" for service in ("ai-core", "telegram", "mail")}
ALIASES["ai-core.two.test"] = "front"
ALIASES |= {f"{service}.lost.test": f"lost-{service}" for service in ("ai-core", "telegram", "mail")}
LONGEST = 600  # seconds that a step of the rig may take


class Rig:
    """`state` keeps images and guests; the base image is made once."""

    def __init__(self, program: Path, state: Path) -> None:
        self.program = program
        self.state = state
        self._environment = {
            **os.environ,
            "RIG_STATE": str(state),
            "RIG_HOSTS": " ".join(f"{name}={octet}" for name, octet in GUESTS.items()),
            "RIG_ALIASES": " ".join(f"{name}={guest}" for name, guest in ALIASES.items()),
            "RIG_NET": NETWORK,
            "RIG_BINDS": str(state / "pip-cache"),
        }

    def __call__(self, *arguments: str) -> str:
        """Run one of its commands; returns what it printed."""
        done = subprocess.run(
            [str(self.program), *arguments],
            env=self._environment, check=False, capture_output=True, text=True, timeout=LONGEST,
        )  # fmt: skip
        assert done.returncode == 0, f"rig {' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def run(self, guest: str, command: str, *, check: bool = True) -> str:
        """A shell command line as root in a guest; no secret may stand in it."""
        done = subprocess.run(
            [str(self.program), "exec", guest, "sh", "-c", command],
            env=self._environment, check=False, capture_output=True, text=True, timeout=LONGEST,
        )  # fmt: skip
        assert done.returncode == 0 or not check, f"{guest}: {command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def start_fresh(self, *guests: str) -> None:
        """Guests as a provider hands them over."""
        self("reset", *guests)
        self("up", *guests)

    def restart(self, guest: str, seconds: float) -> None:
        """It restarts itself, as after an upgrade of its kernel; returns when it is up again.

        Nothing may be run in a guest that shuts down: systemd-shutdown stops every process there before it kills them,
        nsenter stops with its child, and a guest whose last process is not collected never ends.
        """
        container = self.state / "m" / guest / "nspawn.pid"
        before = container.read_text()
        self.run(guest, "systemctl --no-block reboot")
        until(lambda: container.exists() and container.read_text() not in ("", before), seconds)
        self("up", guest)

    @property
    def authority(self) -> Path:
        """The root of the certificates that the ACME server issues."""
        return self.state / "ca" / "issuer-root.crt"


def address(guest: str) -> str:
    """Of a guest on the bridge."""
    return f"{NETWORK}.{GUESTS[guest]}"


@contextmanager
def names_resolve(addresses: dict[str, str]) -> Iterator[None]:
    """In this process, as the DNS of the world outside would."""
    ask = socket.getaddrinfo

    def answer(host: Any, *arguments: Any, **options: Any) -> Any:
        return ask(addresses.get(host, host), *arguments, **options)

    with mock.patch("socket.getaddrinfo", answer):
        yield
