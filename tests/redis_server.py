"""A Redis server of the tests' own: on a free port of the loopback, stopped and started at will."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import redis

from tests.end_to_end.server import free_port

READY_WITHIN = 10.0  # seconds


def program() -> str | None:
    """Debian's redis-server, or None."""
    return shutil.which("redis-server")


class RedisServer:
    """`url` stays the same over restarts. With `durable` every write is on disk before its reply (appendfsync always),
    and comes back after `kill`. `environment`: further variables of the process."""

    def __init__(
        self, *, durable: bool = False, arguments: tuple[str, ...] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="redis-"))
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        kept = ("--appendonly", "yes", "--appendfsync", "always") if durable else ("--save", "")
        self._arguments = (*kept, *arguments)
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return once it answers."""
        found = program()
        assert found is not None
        place = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.home))
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [found, *place, *self._arguments], env=self._environment, stdout=log, stderr=log
            )
        until = time.monotonic() + READY_WITHIN
        with redis.Redis(port=self.port) as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.RedisError:
                    assert time.monotonic() < until, "redis-server does not start"
                    assert self._process.poll() is None, (self.home / "log").read_text()[-2000:]
                    time.sleep(0.02)

    def stop(self) -> None:
        """As systemd stops it."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As the kernel kills it."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """It keeps its connections and does not answer."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def start_again(self) -> None:
        """Start it where it does not run."""
        if self._process is None:
            self.start()

    def restart(self) -> None:
        self.stop()
        self.start()

    def flush(self) -> None:
        """Forget everything."""
        with redis.Redis(port=self.port) as client:
            client.flushall()

    def remove(self) -> None:
        """Stop it and forget its data."""
        self.kill()
        shutil.rmtree(self.home)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        self._process.send_signal(signal.SIGCONT)
        self._process.wait(10)
        self._process = None
