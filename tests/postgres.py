"""A PostgreSQL server of the tests' own: on a free port of the loopback, in a directory that goes with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.end_to_end.server import free_port

ACCOUNT = "postgres"  # initdb refuses to run as root


def programs() -> Path | None:
    """Where initdb and pg_ctl are (Debian keeps them off the PATH), or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


class Postgres:
    """Stopped and started at will; `url` stays the same. `home`: an empty folder for it, else one of its own."""

    def __init__(self, home: Path | None = None) -> None:
        self._home = home or Path(tempfile.mkdtemp(prefix="postgres-"))
        self.port = free_port()
        self.url = f"postgresql://{ACCOUNT}@127.0.0.1:{self.port}/postgres"
        if os.geteuid() == 0:
            shutil.chown(self._home, ACCOUNT)
        self._run(
            "initdb", "--auth=trust", f"--username={ACCOUNT}", "--encoding=UTF8", "--locale=C.UTF-8", "-D", "data"
        )

    def start(self) -> None:
        """Return once it takes connections."""
        self._run("pg_ctl", "-D", "data", "-l", "log", "-w", "-o", " ".join(self._options), "start")

    @property
    def command(self) -> list[str]:
        """What runs it in the foreground, as ACCOUNT."""
        directory = programs()
        assert directory is not None
        return [str(directory / "postgres"), "-D", str(self._home / "data"), *self._options]

    @property
    def _options(self) -> list[str]:
        settings = ("listen_addresses=127.0.0.1", f"unix_socket_directories={self._home}", "fsync=off")
        return ["-p", str(self.port), *(part for setting in settings for part in ("-c", setting))]

    def create(self, name: str) -> None:
        """Make one more database, see `url_of`."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", ACCOUNT, name)

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


@contextmanager
def running() -> Iterator[Postgres]:
    """A server for the length of a `with`. Where PostgreSQL is not installed the test is skipped, or fails in CI."""
    if programs() is None:
        missing = "PostgreSQL is not installed: tests/system_packages.sh"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    server = Postgres()
    server.start()
    try:
        yield server
    finally:
        server.stop()
        server.remove()
