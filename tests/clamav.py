"""clamd of the tests' own: on a free port of the loopback, with a signature file of one entry, the EICAR test file."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from tests.end_to_end.server import free_port

START_WITHIN = 30.0  # seconds


def missing() -> str | None:
    """Why no scanner can be started here, or None."""
    return None if shutil.which("clamd") else "ClamAV is not installed: tests/system_packages.sh"


class ClamAv:
    """Started and stopped at will; `address` stays the same. It finds files with the content of `signatures`."""

    def __init__(self, *signatures: tuple[str, bytes]) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="clamav-"))
        self._port = free_port()
        self.address = f"127.0.0.1:{self._port}"
        (self._home / "db").mkdir()
        # A .hsb line: SHA-256 of the file, its size, the name of the find, and the least engine that reads it.
        lines = [f"{hashlib.sha256(data).hexdigest()}:{len(data)}:{name}:73" for name, data in signatures]
        (self._home / "db" / "tests.hsb").write_text("\n".join(lines) + "\n")
        (self._home / "clamd.conf").write_text(
            f"DatabaseDirectory {self._home}/db\nTCPSocket {self._port}\nTCPAddr 127.0.0.1\n"
            f"PidFile {self._home}/clamd.pid\nForeground yes\nLogFile {self._home}/clamd.log\nUser {_user()}\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return once it answers."""
        self._process = subprocess.Popen(
            ["clamd", f"--config-file={self._home}/clamd.conf"],
            stdout=subprocess.DEVNULL,
            stderr=(self._home / "errors").open("ab"),
        )
        until = time.monotonic() + START_WITHIN
        while True:
            assert self._process.poll() is None, (self._home / "errors").read_text()
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.05)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """End it and forget its files."""
        self.stop()
        shutil.rmtree(self._home)


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name
