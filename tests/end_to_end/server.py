"""The AI core as an operator runs it: `python -m ai_core serve` on a free port of the loopback, stopped by its pid."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
READY_WITHIN = 120.0  # seconds


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """One running AI core over `data_dir`."""

    def __init__(self, data_dir: Path, **variables: str) -> None:
        self.port = free_port()
        self.data_dir = data_dir
        self.environment = {
            **os.environ,
            "DATA_DIR": str(data_dir),
            "PORT": str(self.port),
            "RATE_LIMIT_PER_MINUTE": "100000",
            "RATE_LIMIT_GLOBAL_PER_MINUTE": "100000",
            **variables,
        }
        self.log = data_dir / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def command(self, *arguments: str) -> str:
        """Run `python -m ai_core ARGUMENTS` and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "ai_core", *arguments],
            cwd=ROOT,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return done.stdout

    def new_key(self, *scopes: str) -> str:
        """A key made on the command line."""
        options = [part for scope in scopes or ("chat",) for part in ("--scope", scope)]
        printed = self.command("keys", "create", "test", *options)
        return printed.split("API key: ")[1].split()[0]

    def start(self) -> None:
        """Start and wait until it is ready."""
        with self.log.open("ab") as log:
            self._process = self.launch(log)
        try:
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def launch(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """The process, which writes to `log`."""
        command = [sys.executable, "-m", "ai_core", "serve"]
        return subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)

    def wait_until_ready(self) -> None:
        """Return once readiness is 200."""
        until = time.monotonic() + READY_WITHIN
        while time.monotonic() < until:
            assert self._process is not None
            assert self._process.poll() is None, self.log.read_text()[-3000:]
            try:
                readiness = self.readiness()
                if readiness["status"] in ("ready", "degraded"):
                    return
                if "could not" in readiness["components"]["model"]["detail"]:
                    break
            except OSError:
                pass  # not listening yet, or between two workers
            time.sleep(0.1)
        raise AssertionError(f"not ready: {self.log.read_text()[-3000:]}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """Stop it, as Ctrl-C does where nothing else is said; returns the exit status."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(how)
        return self._process.wait(70)

    @property
    def pid(self) -> int:
        """Of gunicorn's master."""
        assert self._process is not None
        return self._process.pid

    def worker_pids(self) -> list[int]:
        """The gunicorn workers."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(child) for child in children]

    def get(self, path: str, headers: dict[str, str] | None = None) -> Any:
        """The JSON (or text) behind `path`, whatever the status."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                raw = response.read()
        except urllib.error.HTTPError as error:
            raw = error.read()
        return json.loads(raw)

    def readiness(self) -> dict[str, Any]:
        """What /health/ready answers."""
        body: dict[str, Any] = self.get("/health/ready")
        return body

    def send(self, body: dict[str, Any], key: str) -> HTTPConnection:
        """Send a chat and do not wait for its answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=70)
        connection.request(
            "POST", "/api/v1/chat", json.dumps(body), {"Content-Type": "application/json", "X-API-Key": key}
        )
        return connection

    def post(self, path: str, body: dict[str, Any], key: str) -> tuple[int, dict[str, Any]]:
        """Status and JSON of a POST."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=70)
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", "X-API-Key": key})
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        return response.status, answer

    def stream(self, body: dict[str, Any], key: str) -> Stream:
        """Begin a streamed chat."""
        return Stream(self.port, {**body, "stream": True}, key)


class Stream:
    """One streamed answer, read event by event."""

    def __init__(self, port: int, body: dict[str, Any], key: str) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=70)
        self._connection.request(
            "POST", "/api/v1/chat", json.dumps(body), {"Content-Type": "application/json", "X-API-Key": key}
        )
        self._socket = self._connection.sock
        self.response = self._connection.getresponse()

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Name and data of each event."""
        name = ""
        for raw in self.response:
            line = raw.decode().rstrip("\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                yield name, json.loads(line[6:])

    def leave(self) -> None:
        """Close the connection in the middle, as a browser that is closed does."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self.response.close()
        self._connection.close()
