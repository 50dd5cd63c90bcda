"""One person who used Telegram, mail and the API: everything of them is given out, then nothing of them is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from common.crypto import person_hash
from tests.end_to_end.server import Server
from tests.mail_service.service import mail
from tests.mail_system import ALICE, ASSISTANT, BOB, MailSystem, missing
from tests.redis_server import program
from tests.telegram_service.running import Running
from tests.telegram_service.traces import Traces
from tests.waiting import until

MISSING = missing() or (None if program() else "redis-server is not installed: tests/system_packages.sh")

pytestmark = pytest.mark.skipif(MISSING is not None and os.environ.get("CI") != "true", reason=str(MISSING))

ROOT = Path(__file__).resolve().parents[2]
MARIE, PAUL = 700_000_011, 700_000_012
CHANNEL, WEB = "webapp", "alice-du-site-web"
CORE_KEY, MAIL_KEY, BOT_KEY = "c" * 40, "m" * 40, "k" * 40
ASKED_BY_MAIL = "Ma chef Ursule me refuse un congé sabbatique."
ASKED_BY_BOT = "Mon patron Archibald ne paie pas mes heures."
ASKED_BY_WEB = "Je m'appelle Hildegarde Durand, quel est mon préavis ?"


@dataclass
class System:
    """The three services, each with its data in a folder of its own."""

    ai: Server
    bot: Running
    mailbox: MailSystem
    mail: Path
    mail_environment: dict[str, str]
    key: str

    def asks_by_web(self, user: str) -> dict[str, Any]:
        body = {"message": ASKED_BY_WEB, "channel": CHANNEL, "user_id": user, "parameters": {"temperature": 0}}
        status, answer = self.ai.post("/api/v1/chat", body, self.key)
        assert status == 200, answer
        return answer

    def person(self, action: str, names: dict[str, Any]) -> dict[str, Any]:
        """What person.yml does: the bots first, then the AI core with what they call the person there."""
        mail = self.run("mail_service", self.mail_environment, action, names)
        bot = self.run("telegram_service", self.bot.environment, action, names)
        known = [*names.get("ai_core", []), *mail.pop("ai_core"), *bot.pop("ai_core")]
        core = self.run("ai_core", self.ai.environment, action, {"ai_core": known})
        return {**mail, **bot, **core}

    def run(self, service: str, environment: dict[str, str], action: str, names: dict[str, Any]) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", service, "person", action],
            input=json.dumps(names),
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert not any(str(name) in done.stderr for name in (ALICE, MARIE, WEB))
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def tidy_mailbox(self) -> None:
        """As person.yml does where the mail server is ours: Dovecot's caches hold headers of mails that are gone."""
        doveadm = ["doveadm", "-c", str(self.mailbox.home / "dovecot.conf"), "mailbox"]
        folders = subprocess.run([*doveadm, "list", "-u", ASSISTANT], check=True, capture_output=True, text=True).stdout
        for folder in folders.splitlines():
            subprocess.run([*doveadm, "cache", "purge", "-u", ASSISTANT, folder], check=True, capture_output=True)

    def folders(self) -> list[Path]:
        """Databases with their logs, log files, Redis' files, the assistant's mailbox."""
        box = self.mailbox.home / "mail" / ASSISTANT.partition("@")[2] / ASSISTANT.partition("@")[0]
        assert box.is_dir()
        return [self.ai.data_dir, self.bot.home, self.mail, self.bot.redis.home, box]

    def files_with(self, words: list[str]) -> list[str]:
        """Each file that holds one of `words`, as it lies on the disk."""
        files = [path for folder in self.folders() for path in folder.rglob("*") if path.is_file()]
        return [str(path) for path in files if any(word.encode() in path.read_bytes() for word in words)]

    def rows_with(self, words: list[str]) -> list[str]:
        """Each cell of a database and each key of Redis, decrypted, that holds one of `words`."""
        bot, post, core = Traces([BOT_KEY]), Traces([MAIL_KEY]), Traces([CORE_KEY])
        return [
            *bot.in_database(self.bot.home / "telegram_service.sqlite3", words),
            *post.in_database(self.mail / "mail_service.sqlite3", words),
            *core.in_database(self.ai.data_dir / "ai_core.sqlite3", words),
            *bot.in_redis(self.bot.redis.url, words),
        ]


@pytest.fixture
def mailbox() -> Iterator[MailSystem]:
    system = MailSystem()
    try:
        system.start()
        yield system
    finally:
        system.remove()


@pytest.fixture
def system(mailbox: MailSystem, tmp_path: Path) -> Iterator[System]:
    for name in ("core", "bot", "mail"):
        (tmp_path / name).mkdir()
    ai = Server(tmp_path / "core", SECRET_KEY=CORE_KEY)
    ai.start()
    key, url = ai.new_key("chat"), f"http://127.0.0.1:{ai.port}"
    with Running(tmp_path / "bot", workers=1, LEASE_SECONDS="10", AI_API_URL=url, AI_API_KEY=key) as bot:
        environment = mailbox.settings(
            tmp_path / "mail", AI_API_URL=url, AI_API_KEY=key, REDIS_URL=bot.redis.url, SECRET_KEY=MAIL_KEY
        )
        environment |= {"PATH": os.environ["PATH"], "EMAIL_CHECK_INTERVAL": "2"}
        with (tmp_path / "mail" / "output").open("ab") as output:
            running = [
                subprocess.Popen(
                    [sys.executable, "-m", "mail_service", role],
                    cwd=ROOT,
                    env=environment,
                    stdout=output,
                    stderr=output,
                )
                for role in ("poller", "worker")
            ]
        yield System(ai, bot, mailbox, tmp_path / "mail", environment, key)
        for process in running:
            process.terminate()
        for process in running:
            process.wait(60)
    ai.stop()


def everybody_asks(system: System) -> None:
    bot, post = system.bot, system.mailbox
    post.put(mail(ASKED_BY_MAIL))
    post.put(mail("Et moi, Bob ?", sender=BOB, message_id="bob@client.example"))
    for user in (MARIE, PAUL):
        bot.telegram.person(user, first_name="Marie", username=f"pseudo_{user}", language_code="fr")
        bot.telegram.say(user, ASKED_BY_BOT)
    for name in (WEB, "somebody-else"):
        assert not system.asks_by_web(name)["cached"]
        assert system.asks_by_web(name)["cached"]
    for user in (MARIE, PAUL):
        until(partial(is_answered, bot, user))
    until(lambda: (len(post.mails(ALICE)) == 1 and len(post.mails(BOB)) == 1) or None)
    until(lambda: (len(post.mails(folder="Sent")) == 2 and not post.mails()) or None)


def is_answered(bot: Running, user: int) -> bool:
    return any("👍" in shown.buttons for shown in bot.telegram.messages(user))


def test_everything_is_given_out_and_then_nothing_is_left(system: System) -> None:
    everybody_asks(system)
    names = {"mail": [ALICE], "telegram": [MARIE], "ai_core": [[CHANNEL, WEB]]}
    plain = [ALICE, str(MARIE), WEB, f"pseudo_{MARIE}", ASKED_BY_MAIL, "Ursule"]
    hashes = [
        person_hash(BOT_KEY, "telegram", str(MARIE)),
        person_hash(MAIL_KEY, "mail", ALICE),
        person_hash(CORE_KEY, "telegram", str(MARIE)),
        person_hash(CORE_KEY, "mail", person_hash(MAIL_KEY, "mail", ALICE)),
        person_hash(CORE_KEY, CHANNEL, WEB),
    ]
    assert len(system.rows_with([*plain, *hashes])) > 10, "the scan finds what there is"
    assert system.files_with(plain), "in files, too"

    exported = system.person("export", names)
    assert ASKED_BY_MAIL in json.dumps(exported["mail"], ensure_ascii=False)
    assert ASKED_BY_BOT in json.dumps(exported["telegram"], ensure_ascii=False)
    assert [(one["channel"], bool(one["requests"])) for one in exported["ai_core"]] == [
        (CHANNEL, True),
        ("mail", True),
        ("telegram", True),
    ]

    erased = system.person("erase", names)
    assert erased["mail"] == [{"messages": 1, "redis_keys": erased["mail"][0]["redis_keys"], "mails": 2}]
    assert erased["telegram"][0]["items"] > 3
    assert [one["erased"]["requests"] > 0 for one in erased["ai_core"]] == [True, True, True]
    left = [place for place in system.rows_with([*plain, *hashes]) if not place.startswith("audit_entry.")]
    assert left == []
    system.tidy_mailbox()
    assert system.files_with(plain) == []

    others = [BOB, str(PAUL), person_hash(CORE_KEY, CHANNEL, "somebody-else")]
    assert len({word for word in others if system.rows_with([word])}) == 3, "nobody else was touched"
    assert system.asks_by_web("somebody-else")["cached"]
    assert not system.asks_by_web(WEB)["cached"], "the memory of the serving process has forgotten, too"
    again = system.run("mail_service", system.mail_environment, "erase", names)["mail"]
    assert [one["messages"] for one in again] == [0]
