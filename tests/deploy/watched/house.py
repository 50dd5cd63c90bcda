"""The three services under a real systemd, as units with the names of production, around them what they need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from ai_core.knowledge.legi import CODE_ID
from tests.deploy.watched.monitoring import REPOSITORY, Service
from tests.deploy.watched.units import Units, python
from tests.end_to_end.server import Server, free_port
from tests.mail_system import MailSystem
from tests.telegram_service.process import POISON
from tests.telegram_service.questions import Crowd
from tests.telegram_service.running import Running
from tests.waiting import until

PEOPLE = 70
CODE = {
    "type": "code",
    "data": {"id": CODE_ID},
    "children": [
        {
            "type": "section",
            "data": {"title": "Section 1 : Démission"},
            "children": [
                {
                    "type": "article",
                    "data": {
                        "id": "LEGIARTI000000000001",
                        "num": "L1237-1",
                        "texte": "En cas de démission, l'existence et la durée du préavis sont fixées par la loi.",
                        "etat": "VIGUEUR",
                    },
                }
            ],
        }
    ],
}


class House:
    """A context. `poisoned`: one text kills the Telegram worker that reads it, see `heal`. `sender_limit`: mails that
    one person gets in an hour."""

    def __init__(self, home: Path, *, poisoned: bool = False, sender_limit: int = 1_000) -> None:
        for name in ("core", "mail"):
            (home / name).mkdir(parents=True)
        self.home = home
        self.units = Units()
        self.core = Server(home / "core", SECRET_KEY="c" * 40)
        self.bot = Running(home / "bot", workers=0, DEAD_AFTER="3", LEASE_SECONDS="6")
        self.crowd = Crowd(self.bot, PEOPLE)
        self.mail = MailSystem()
        self.mail_port = free_port()
        self._poisoned = poisoned
        self._sender_limit = sender_limit
        self._stack = ExitStack()

    def __enter__(self) -> House:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        self._start_counterparts()
        self._stack.callback(self.units.stop)
        self.units.start()
        self._start_core()
        self._start_bot()
        self._start_mail()
        until(lambda: all(map(_is_ready, self.services())), seconds=120)
        self.bot.command("set-webhook")

    def _start_counterparts(self) -> None:
        for counterpart in (self.bot.telegram, self.bot.ai):
            self._stack.enter_context(counterpart)
        self._stack.callback(self.bot.redis.remove)
        self.bot.redis.start()
        self._stack.callback(self.mail.remove)
        self.mail.start()

    def _start_core(self) -> None:
        package = self.home / "code.json"
        package.write_text(json.dumps(CODE))
        self.core.command("knowledge", "update", "--from", str(package))
        self.core_key, self.chat_key = self.core.new_key("metrics"), self.core.new_key("chat", "models")
        self.units.run("ai-core", python("ai_core", "serve"), self.core.environment)

    def _start_bot(self) -> None:
        self.bot_key = _key(self.bot.command("keys", "create", "Prometheus", "--scope", "metrics"))
        self.units.run("telegram-web", python("telegram_service", "serve"), self.bot.environment)
        module = "tests.telegram_service.process" if self._poisoned else "telegram_service"
        self.units.run("telegram-worker@1", python(module, "worker"), self.bot.environment)

    def _start_mail(self) -> None:
        self.mail_key = _key(self._mail_command("keys", "create", "Prometheus", "--scope", "metrics"))
        for unit, role in (("mail-web", "serve"), ("mail-poller", "poller"), ("mail-worker@1", "worker")):
            self.units.run(unit, python("mail_service", role), self.mail_environment)

    @property
    def mail_environment(self) -> dict[str, str]:
        """The settings of the mail service's processes."""
        own = {
            "AI_API_URL": self.bot.ai.url,
            "REDIS_URL": f"{self.bot.redis.url[:-1]}1",
            "SECRET_KEY": "m" * 40,
            "PORT": str(self.mail_port),
            "EMAIL_CHECK_INTERVAL": "1",
            "MAX_EMAILS_PER_SENDER_HOUR": str(self._sender_limit),
        }
        return {**self.mail.settings(self.home / "mail", **own), "PATH": os.environ["PATH"]}

    def services(self) -> list[Service]:
        """Whom Prometheus asks, with keys for the figures alone."""
        return [
            Service("ai_core", "ai.example.org", "ai", self.core.port, self.core_key),
            Service("telegram_service", "bot.example.org", "ai", self.bot.port, self.bot_key),
            Service("mail_service", "mail.example.org", "ai", self.mail_port, self.mail_key),
        ]

    def poison(self) -> None:
        """A message that kills the worker that reads it, again and again."""
        self.bot.telegram.say(PEOPLE + 1, POISON)

    def heal(self) -> None:
        """A worker that can read everything, and the message once more."""
        self.units.write("telegram-worker@1", python("telegram_service", "worker"), self.bot.environment)
        self.units.order("restart", "telegram-worker@1.service")
        self.bot.command("dead-letters", "revive", *(str(one.update_id) for one in self.bot.mailbox.dead_letters()))

    def _mail_command(self, *words: str) -> str:
        command = [sys.executable, "-m", "mail_service", *words]
        done = subprocess.run(command, cwd=REPOSITORY, env=self.mail_environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout


def _is_ready(service: Service) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/health/ready", timeout=10) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _key(printed: str) -> str:
    return printed.split("API key: ")[1].split()[0]
