"""The service as an operator runs it: web process and workers, a real Redis, a fake Telegram, a scripted AI core."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

from telegram_service.composition import compose
from telegram_service.mailbox import Mailbox
from telegram_service.settings import Settings
from tests.end_to_end.server import free_port
from tests.redis_server import RedisServer
from tests.telegram_server import TelegramServer
from tests.telegram_service.scripted_ai import ScriptedAi

ROOT = Path(__file__).resolve().parents[2]
SECRET = "un-secret-du-webhook"
WIDE = dict.fromkeys(
    ("MAX_MESSAGES_PER_MINUTE", "MAX_MESSAGES_BURST", "MAX_MESSAGES_PER_MINUTE_GLOBAL", "MESSAGES_PER_SECOND"),
    "1000000",
)
READY_WITHIN = 60.0  # seconds


class Running:
    """Counterparts and processes; a context. `polls`: a poller instead of the webhook. `variables` are settings in
    capitals."""

    def __init__(
        self, home: Path, *, workers: int = 2, pause: float = 0.01, polls: bool = False, **variables: str
    ) -> None:
        home.mkdir(exist_ok=True)
        self.home = home
        self.telegram = TelegramServer()
        self.ai = ScriptedAi(pause=pause)
        self.redis = RedisServer(durable=True)
        self.port = free_port()
        self.roles = ("poller" if polls else "serve", *("worker",) * workers)
        self.processes: list[subprocess.Popen[bytes]] = []
        self._variables = variables
        self._stack = ExitStack()
        self.died = 0  # processes that were started again
        self._guard = threading.Lock()  # of the processes
        self._ending = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)

    def __enter__(self) -> Running:
        self._stack.enter_context(self.telegram)
        self._stack.enter_context(self.ai)
        self._stack.callback(self.redis.remove)
        self.redis.start()
        self._stack.callback(self.stop)
        self.processes = [self.start(role) for role in self.roles]
        if self.roles[0] == "serve":
            self.wait_until_ready()
            self.command("set-webhook")
        self._supervisor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def environment(self) -> dict[str, str]:
        """The settings of every process."""
        return {
            "PATH": os.environ["PATH"],
            "PORT": str(self.port),
            "DATA_DIR": str(self.home),
            "REDIS_URL": self.redis.url,
            "SECRET_KEY": "k" * 40,
            "TELEGRAM_BOT_TOKEN": self.telegram.token,
            "TELEGRAM_API_URL": self.telegram.url,
            "WEBHOOK_URL": f"http://127.0.0.1:{self.port}/webhook" if self.roles[0] == "serve" else "",
            "WEBHOOK_SECRET": SECRET,
            "AI_API_URL": self.ai.url,
            "AI_API_KEY": "cdt-key",
            "LEASE_SECONDS": "2",
            "RETRY_SECONDS": "0.5",
            **WIDE,
            **self._variables,
        }

    def start(self, role: str) -> subprocess.Popen[bytes]:
        """Start a process as systemd does."""
        with self.log.open("ab") as log:
            module = "tests.telegram_service.process" if role == "worker" else "telegram_service"
            command = [sys.executable, "-m", module, role]
            return subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, place: int) -> None:
        """kill -9, with its children, as systemd does it."""
        with self._guard:
            os.killpg(self.processes[place].pid, signal.SIGKILL)

    def stop(self) -> None:
        """Stop what runs, as systemd does."""
        self._ending.set()
        if self._supervisor.is_alive():
            self._supervisor.join()
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(60)

    def _supervise(self) -> None:
        """What dies is started again, as systemd does it."""
        while not self._ending.wait(0.05):
            with self._guard:
                for place, process in enumerate(self.processes):
                    if process.poll() is not None:
                        self.died += 1
                        self.processes[place] = self.start(self.roles[place])

    def command(self, *arguments: str) -> str:
        """Run `python -m telegram_service ARGUMENTS` and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "telegram_service", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @cached_property
    def mailbox(self) -> Mailbox:
        """The queue, to look at."""
        return compose(Settings.from_environment(self.environment)).mailbox

    def get(self, path: str) -> tuple[int, float]:
        """Status and seconds of a GET; status 0 where nothing answers."""
        began = time.monotonic()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as response:
                return response.status, time.monotonic() - began
        except urllib.error.HTTPError as refused:
            return refused.code, time.monotonic() - began
        except OSError:
            return 0, time.monotonic() - began

    def wait_until_ready(self) -> None:
        """Until the web process answers."""
        until = time.monotonic() + READY_WITHIN
        while self.get("/health")[0] != 200:
            assert self.processes[0].poll() is None, self.log.read_text()[-3_000:]
            assert time.monotonic() < until, "the web process does not start"
            time.sleep(0.05)

    @property
    def log(self) -> Path:
        """What all processes print."""
        return self.home / "output.log"

    def everything_logged(self) -> str:
        """That, and the log files."""
        files = [self.log, *sorted((self.home / "logs").glob("*"))]
        return "\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files if file.is_file())

    def said_to(self, user: int) -> list[str]:
        """What the bot's messages to a person say now."""
        shown: list[Any] = self.telegram.messages(user)
        return [message.text for message in shown]
