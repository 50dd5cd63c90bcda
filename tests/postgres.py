"""A PostgreSQL server of the tests' own: on a free port of the loopback, in a directory that goes with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.end_to_end.server import free_port

ACCOUNT = "postgres"  # initdb refuses to run as root


def programs() -> Path | None:
    """Where initdb and pg_ctl are (Debian keeps them off the PATH), or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


class Postgres:
    """Stopped and started at will; `url` stays the same."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._port = free_port()
        self.url = f"postgresql://{ACCOUNT}@127.0.0.1:{self._port}/postgres"
        if os.geteuid() == 0:
            shutil.chown(self._home, ACCOUNT)
        self._run(
            "initdb", "--auth=trust", f"--username={ACCOUNT}", "--encoding=UTF8", "--locale=C.UTF-8", "-D", "data"
        )

    def start(self) -> None:
        """Return once it takes connections."""
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._home} -c fsync=off"
        self._run("pg_ctl", "-D", "data", "-l", "log", "-w", "-o", options, "start")

    def create(self, name: str) -> None:
        """Make one more database, see `url_of`."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self._port), "-U", ACCOUNT, name)

    def url_of(self, name: str) -> str:
        """The address of another database than the first."""
        return self.url.rpartition("/")[0] + f"/{name}"

    def stop(self) -> None:
        """Cut every connection."""
        self._run("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")

    def remove(self) -> None:
        """Forget its data."""
        shutil.rmtree(self._home)

    def _run(self, program: str, *arguments: str) -> None:
        directory = programs()
        assert directory is not None
        command = [str(directory / program), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", ACCOUNT, "--", *command]
        subprocess.run(command, cwd=self._home, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
