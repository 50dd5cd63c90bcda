"""The whole system as its processes, each supervised as systemd does it, with the places where faults are applied."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests import postgres
from tests.corpus import legi_package
from tests.end_to_end.server import Server, free_port
from tests.faults.clock import Clock, build_library
from tests.faults.component import ROOT, Component, Unit, wait_for_port
from tests.faults.disk import Disk
from tests.faults.line import Line
from tests.mail_system import ALICE, ASSISTANT, MailSystem
from tests.redis_server import program
from tests.telegram_server import TelegramServer
from tests.telegram_service.running import SECRET, WIDE
from tests.waiting import until
from tests.whole_system import CORE, MAIL

IN_REPLY_TO = re.compile(rb"^In-Reply-To: (<[^>]+>)", re.MULTILINE | re.IGNORECASE)
POSTFIX_MASTER = "/usr/lib/postfix/sbin/master"
SHORT = "16"  # tokens of an answer: the number of its article is among the first
WORKERS = 2  # of each service
REDIS = ("--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction")  # as the role sets it
# A disk for each that writes, in megabytes. Postfix takes no mail where less than 1.5 times its largest mail is free.
DISKS = {"ai-core": 128, "telegram": 48, "mail": 48, "redis": 48, "postgres": 256, "postfix": 256, "dovecot": 32}
WAITS = {"LEASE_SECONDS": "2", "RETRY_SECONDS": "0.5"}
# Longer than Postfix may need to file a copy in Sent after the longest fault: 330 in production, where it tries again
# after 300 seconds, not 5.
SEND_CHECK_AFTER = "15"


@dataclass(frozen=True)
class Build:
    """How a house is made. `lines`: programs talk by way of proxies; `clocks`: each goes by a clock of its own;
    `sqlite`: there is no PostgreSQL."""

    lines: bool = False
    clocks: bool = False
    sqlite: bool = False


class Blueprint:
    """What every house begins with, made once: `core`, an AI core's folder with the Code du travail and a key; `clock`,
    the library of clocks that jump."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.core = folder / "core"
        self.core.mkdir()
        self.clock = build_library(folder)
        core = Server(self.core)
        core.command("knowledge", "update", "--from", str(legi_package()))
        self.key = core.new_key("chat", "admin")


class House:
    """One running system in `home`; a context."""

    def __init__(self, home: Path, build: Build, blueprint: Blueprint) -> None:
        self.home = home
        self.build = build
        self.key = blueprint.key
        self.telegram = TelegramServer()
        self.components: dict[str, Component] = {}
        self.clocks: dict[str, Clock] = {}
        self.disks: dict[str, Disk] = {}
        self.lines: dict[str, Line] = {}
        self._mails: dict[str, str] = {}  # what each answers, by its name on the disk
        self._blueprint = blueprint
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
        self.home.mkdir(mode=0o755)
        self._stack.callback(shutil.rmtree, self.home)
        self._stack.enter_context(self.telegram)
        self._make_folders()
        self._start_redis()
        self._start_postgres()
        self._start_mail_system()
        self._start_ai_core()
        self._start_telegram()
        self._start_mail()

    # -- what one sees from outside -----------------------------------------------------------------------------------

    def answered_mails(self, folder: Literal["replies", "sent"]) -> list[str]:
        """The Message-IDs that mails answer, in Alice's mailbox or in the assistant's Sent folder: read from the disk,
        since Dovecot may be away."""
        user, below = (ALICE, "") if folder == "replies" else (ASSISTANT, ".Sent")
        name, _, domain = user.partition("@")
        box = self.mail.home / "mail" / domain / name / "Maildir" / below
        while True:
            mails = (path for kind in ("new", "cur") for path in (box / kind).glob("*"))
            found = {path.name.partition(":")[0]: path for path in mails}  # one that moves meanwhile may be in both
            try:
                return [answered for name, path in found.items() if (answered := self._answered_by(name, path))]
            except FileNotFoundError:
                continue  # Dovecot moved it from new to cur

    def _answered_by(self, name: str, path: Path) -> str:
        """Dovecot changes what follows the name, never the mail."""
        if name not in self._mails:
            found = IN_REPLY_TO.search(path.read_bytes())
            self._mails[name] = found[1].decode() if found else ""
        return self._mails[name]

    def answers_on_record(self, channel: str, user: str) -> int:
        """How many answers to a person the AI core has noted."""
        found = self.core.get(f"/api/v1/admin/users/{channel}/{user}/export", {"X-API-Key": self.key})
        return sum(request["error"] is None for request in found["requests"])

    # -- the parts ----------------------------------------------------------------------------------------------------

    def _make_folders(self) -> None:
        for name in ("ai-core", "telegram", "mail", "redis", "postgres", "logs", "clocks"):
            (self.home / name).mkdir()
        for name in ("ai-core", "telegram", "mail", "redis"):
            self._mount(name, self.home / name)
        shutil.copytree(self._blueprint.core, self.home / "ai-core", dirs_exist_ok=True)

    def _start_redis(self) -> None:
        redis = free_port()
        place = ("--port", str(redis), "--bind", "127.0.0.1", "--dir", str(self.home / "redis"))
        self._run("redis", [str(program()), *place, *REDIS], {})
        wait_for_port(redis)
        self.redis_url = f"redis://127.0.0.1:{self._by_line('redis', redis)}/0"

    def _start_postgres(self) -> None:
        if self.build.sqlite:
            return
        shutil.chown(self.home / "postgres", postgres.ACCOUNT)
        self._mount("postgres", self.home / "postgres")
        server = postgres.Postgres(self.home / "postgres")
        self._run("postgres", server.command, {}, user=postgres.ACCOUNT, stop=signal.SIGINT)
        wait_for_port(server.port)
        for name in ("telegram", "mail"):
            server.create(name)
        self._postgres_url = server.url.replace(f":{server.port}/", f":{self._by_line('postgres', server.port)}/")

    def _start_mail_system(self) -> None:
        self.mail = MailSystem(self.home / "mail-system")
        self._mount("dovecot", self.mail.home / "mail")
        self._mount("postfix", self.mail.home / "queue")
        postfix = str(self.mail.home / "postfix")
        subprocess.run(["postfix", "-c", postfix, "check"], check=True, stderr=subprocess.DEVNULL)
        self._run("dovecot", ["dovecot", "-F", "-c", str(self.mail.home / "dovecot.conf")], {})
        self._run("postfix", [POSTFIX_MASTER, "-s", "-c", postfix], {})
        for name in ("imaps", "lmtp", "sasl", "mx", "submission"):
            wait_for_port(self.mail.ports[name])
        self.mail_ports = {
            "IMAP_PORT": str(self._by_line("imap", self.mail.ports["imaps"])),
            "SMTP_PORT": str(self._by_line("smtp", self.mail.ports["submission"])),
            "IMAP_SSL": "true",
            "SMTP_SSL": "false",
        }

    def _start_ai_core(self) -> None:
        self.core = Server(self.home / "ai-core", REDIS_URL=self.redis_url, ANSWER_CACHE_SECONDS="0", **CORE)
        self._run("ai-core", _python("ai_core", "serve"), self.core.environment, listens=self.core.port)
        until(self._core_is_ready)
        self.ai_url = f"http://127.0.0.1:{self._by_line('ai-core', self.core.port)}"

    def _start_telegram(self) -> None:
        port, bot_api = free_port(), self._by_line("bot-api", int(self.telegram.url.rpartition(":")[2]))
        settings = {
            "PORT": str(port),
            "DATA_DIR": str(self.home / "telegram"),
            "SECRET_KEY": "k" * 40,
            "TELEGRAM_BOT_TOKEN": self.telegram.token,
            "TELEGRAM_API_URL": f"http://127.0.0.1:{bot_api}",
            "WEBHOOK_URL": f"http://127.0.0.1:{self._by_line('webhook', port)}/webhook",
            "WEBHOOK_SECRET": SECRET,
            **self._common("telegram"),
            **WIDE,
        }
        self._run("telegram-web", _python("telegram_service", "serve"), settings, clock="telegram", listens=port)
        for number in range(1, WORKERS + 1):
            self._run(f"telegram-worker-{number}", _python("telegram_service", "worker"), settings, clock="telegram")
        subprocess.run(_python("telegram_service", "set-webhook"), cwd=ROOT, env=_with_path(settings), check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip

    def _start_mail(self) -> None:
        own = {**self._common("mail"), **MAIL, **WAITS, **self.mail_ports, "SEND_CHECK_AFTER": SEND_CHECK_AFTER}
        settings = self.mail.settings(self.home / "mail", **own)
        self._run("mail-poller", _python("mail_service", "poller"), settings, clock="mail")
        for number in range(1, WORKERS + 1):
            self._run(f"mail-worker-{number}", _python("mail_service", "worker"), settings, clock="mail")

    def _core_is_ready(self) -> bool:
        try:
            return bool(self.core.readiness()["status"] == "ready")
        except OSError:
            return False  # its socket is there, nobody answers yet

    # -- how parts are put together -----------------------------------------------------------------------------------

    def _common(self, service: str) -> dict[str, str]:
        """Settings that both bots have."""
        database = {} if self.build.sqlite else {"DATABASE_URL": self._postgres_url.rpartition("/")[0] + f"/{service}"}
        return {
            "REDIS_URL": self.redis_url,
            "AI_API_URL": self.ai_url,
            "AI_API_KEY": self.key,
            "MAX_TOKENS": SHORT,
            "TEMPERATURE": "0",
            **WAITS,
            **database,
        }

    def _run(
        self,
        name: str,
        command: list[str],
        settings: Mapping[str, str],
        *,
        clock: str = "",
        listens: int | None = None,
        user: str | None = None,
        stop: signal.Signals = signal.SIGTERM,
    ) -> None:
        environment = {**_with_path(settings), **self._clock(clock or name)}
        log = self.home / "logs" / f"{name}.log"
        unit = Unit(name, command, environment, ROOT if user is None else self.home, listens, user, stop, log)
        component = self.components[name] = Component(unit)
        component.start()
        self._stack.callback(component.stop)

    def _clock(self, name: str) -> Mapping[str, str]:
        """Postfix and Dovecot give their children an environment of their own, so their clocks stay."""
        if not self.build.clocks or name in ("postfix", "dovecot"):
            return {}
        if name not in self.clocks:
            self.clocks[name] = Clock(self._blueprint.clock, self.home / "clocks" / name)
        return self.clocks[name].environment

    def _by_line(self, name: str, port: int) -> int:
        if not self.build.lines:
            return port
        line = self.lines[name] = Line(port)
        self._stack.callback(line.close)
        return line.port

    def _mount(self, name: str, folder: Path) -> None:
        disk = self.disks[name] = Disk(folder, DISKS[name])
        self._stack.callback(disk.unmount)


def _python(package: str, role: str) -> list[str]:
    return [sys.executable, "-m", package, role]


def _with_path(settings: Mapping[str, str]) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], **settings}
