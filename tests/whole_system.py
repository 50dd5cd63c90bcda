"""All three services as an operator runs them, on one machine: the AI core with the embedded model and the Code du
travail, the Telegram service, the mail service; around them Redis, PostgreSQL or SQLite, Postfix, Dovecot and a strict
stand-in for Telegram."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

import requests

from mail_service.composition import Parts, compose
from mail_service.settings import Settings
from tests.corpus import legi_package
from tests.end_to_end.server import Server, free_port
from tests.mail_system import MailSystem
from tests.postgres import Postgres
from tests.redis_server import RedisServer
from tests.supervised import Supervised
from tests.telegram_service.running import Running
from tests.waiting import until

SERVICES = ("ai_core", "telegram", "mail")  # each has a folder, and a database of its name
UNLIMITED = "100000"
CORE = {"RATE_LIMIT_USER_PER_MINUTE": UNLIMITED}
MAIL = {
    **dict.fromkeys(("MAX_EMAILS_PER_HOUR", "MAX_EMAILS_PER_SENDER_HOUR", "MAX_EMAILS_PER_SUBJECT_DAY"), UNLIMITED),
    "EMAIL_CHECK_INTERVAL": "2",
    "RETRY_SECONDS": "1",
    "SECRET_KEY": "m" * 40,
}


class WholeSystem:
    """A context. `core_settings`, `telegram_settings` and `mail_settings` are further settings in capitals."""

    def __init__(
        self,
        home: Path,
        *,
        postgres: bool = False,
        telegram_workers: int = 1,
        mail_workers: int = 1,
        core_settings: Mapping[str, str] | None = None,
        telegram_settings: Mapping[str, str] | None = None,
        mail_settings: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        self.homes = {name: home / name for name in SERVICES}
        for folder in self.homes.values():
            folder.mkdir(parents=True)
        self._stack = ExitStack()
        self.postgres = Postgres() if postgres else None
        self.mail = MailSystem()
        self.core = Server(self.homes["ai_core"], **self._database("ai_core"), **CORE, **(core_settings or {}))
        self._telegram_workers = telegram_workers
        self._telegram_settings = dict(telegram_settings or {})
        self._mail_roles = ("poller", *(f"worker {number}" for number in range(1, mail_workers + 1)), "serve")
        self._mail_settings = dict(mail_settings or {})
        self.mail_port = free_port()

    def __enter__(self) -> WholeSystem:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        stack = self._stack
        if self.postgres is not None:
            stack.callback(self.postgres.remove)
            self.postgres.start()
            stack.callback(self.postgres.stop)
            for name in SERVICES:
                self.postgres.create(name)
        stack.callback(self.mail.remove)
        self.mail.start()
        self.core.command("knowledge", "update", "--from", str(legi_package()))
        self.key = self.core.new_key("chat", "models", "admin")
        self.telegram = self._telegram()
        self.core.environment["REDIS_URL"] = self.redis.url
        stack.enter_context(self.telegram)
        self.core.start()
        stack.callback(self.core.stop)
        self.mail_processes = self._mail_processes()
        stack.callback(self.mail_processes.stop)
        self.mail_processes.start()
        until(self._mail_answers)

    def _mail_answers(self) -> bool:
        try:
            return requests.get(f"http://127.0.0.1:{self.mail_port}/health", timeout=5).ok
        except requests.RequestException:
            return False

    @property
    def redis(self) -> RedisServer:
        """The one of all services; every write is on disk before its reply."""
        return self.telegram.redis

    def pids(self) -> dict[str, int]:
        """The top process of each part of ours; its children belong to it."""
        telegram = {
            f"telegram {role} {place}": process.pid
            for place, (role, process) in enumerate(zip(self.telegram.roles, self.telegram.processes, strict=True))
        }
        mail = {f"mail {name}": pid for name, pid in self.mail_processes.pids().items()}
        return {"ai core": self.core.pid, **telegram, **mail}

    @cached_property
    def mail_environment(self) -> dict[str, str]:
        """The settings of every process of the mail service."""
        given = {
            "AI_API_URL": f"http://127.0.0.1:{self.core.port}",
            "AI_API_KEY": self.key,
            "REDIS_URL": self.redis.url,
            "PORT": str(self.mail_port),
            **self._database("mail"),
            **MAIL,
            **self._mail_settings,
        }
        return {**self.mail.settings(self.homes["mail"], **given), "PATH": os.environ["PATH"]}

    def mail_parts(self) -> Parts:
        """The mail service within this process, to look at it."""
        return compose(Settings.from_environment(self.mail_environment))

    def _telegram(self) -> Running:
        settings = {
            "AI_API_URL": f"http://127.0.0.1:{self.core.port}",
            "AI_API_KEY": self.key,
            **self._database("telegram"),
            **self._telegram_settings,
        }
        return Running(self.homes["telegram"], workers=self._telegram_workers, pause=0.01, polls=False, **settings)

    def _mail_processes(self) -> Supervised:
        commands = {name: [sys.executable, "-m", "mail_service", name.split()[0]] for name in self._mail_roles}
        return Supervised(commands, self.mail_environment, self.homes["mail"] / "output.log")

    def _database(self, service: str) -> dict[str, str]:
        return {} if self.postgres is None else {"DATABASE_URL": self.postgres.url_of(service)}
