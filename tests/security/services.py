"""The web applications of the three services with what an attacker would want of them: a key, and a route behind it.

Neither Redis nor a mail server nor Telegram is there: what is tested here comes before they are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

import mail_service.app
import telegram_service.app
from ai_core.keys import revoke_key
from common.database import connection
from mail_service.composition import compose as compose_mail
from mail_service.settings import Settings as MailSettings
from telegram_service.composition import compose as compose_telegram
from telegram_service.settings import Settings as TelegramSettings
from tests.fakes import Core, build_core
from tests.log_watch import learn_texts
from tests.mail_service.service import ScriptedAnswerer

NAMES = ("ai_core", "telegram_service", "mail_service")
WEBHOOK_SECRET = "un-secret-du-webhook"
NOBODY = "127.0.0.1:9"  # the discard port: nothing listens
TOKEN = "123456789:AAH-abcdefghijklmnopqrstuvwxyz01234"
MANY: dict[str, Any] = {"RATE_LIMIT_PER_MINUTE": "1000000", "RATE_LIMIT_GLOBAL_PER_MINUTE": "1000000"}


@dataclass(frozen=True)
class Service:
    """`make_key` gives the number and the text of a key, `revoke` takes a number; `path` needs a key."""

    name: str
    app: Flask
    path: str
    make_key: Callable[[], tuple[int, str]]
    revoke: Callable[[int], object]

    def client(self) -> FlaskClient:
        return self.app.test_client()

    def ask(self, key: str | None, address: str = "192.0.2.1", **headers: str) -> Any:
        """GET `path` from an address."""
        given = {} if key is None else {"X-API-Key": key}
        return self.client().get(self.path, headers={**given, **headers}, environ_overrides={"REMOTE_ADDR": address})


@contextmanager
def running(name: str, data_dir: Path, **variables: str) -> Iterator[Service]:
    """The service called `name`; `variables` are settings in capitals."""
    started = {"ai_core": _ai_core, "telegram_service": _telegram, "mail_service": _mail}[name]
    with started(data_dir, variables) as service:
        yield service


@contextmanager
def _ai_core(data_dir: Path, variables: dict[str, str]) -> Iterator[Service]:
    core = build_core(data_dir, SECRET_KEY="s" * 40, **{**MANY, **variables})
    yield of_core(core)
    core.parts.model.stop()
    core.parts.operations.usage.stop()


def of_core(core: Core) -> Service:
    """The AI core that a test has already."""

    def make_key() -> tuple[int, str]:
        text = core.key("chat", "models", "admin")
        with connection(core.parts.database):
            return int(core_key_id(text)), text

    def revoke(number: int) -> object:
        with connection(core.parts.database):
            return revoke_key(number)

    return Service("ai_core", core.app, "/api/v1/models", make_key, revoke)


def core_key_id(text: str) -> int:
    """The number of a key by its text."""
    from ai_core.storage import ApiKey
    from common.auth import prefix_of

    return int(ApiKey.get(ApiKey.prefix == prefix_of(text)).id)


@contextmanager
def _telegram(data_dir: Path, variables: dict[str, str]) -> Iterator[Service]:
    settings = TelegramSettings.from_environment(
        {
            "DATA_DIR": str(data_dir),
            "REDIS_URL": f"redis://{NOBODY}/0",
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_API_URL": f"http://{NOBODY}",
            "WEBHOOK_SECRET": WEBHOOK_SECRET,
            "AI_API_URL": f"http://{NOBODY}",
            "AI_API_KEY": "cdt-none",
            **variables,
        }
    )
    parts = compose_telegram(settings)
    parts.prepare_database()
    app = learn_texts(telegram_service.app.create_app(settings, parts))
    yield _with_book("telegram_service", app, "/metrics", parts)


@contextmanager
def _mail(data_dir: Path, variables: dict[str, str]) -> Iterator[Service]:
    settings = MailSettings.from_environment(
        {
            "DATA_DIR": str(data_dir),
            "REDIS_URL": f"redis://{NOBODY}/0",
            "EMAIL_ADDRESS": "assistant@cdt.example",
            "EMAIL_PASSWORD": "geheim",
            "IMAP_HOST": "localhost",
            "SMTP_HOST": "localhost",
            "AI_API_KEY": "cdt-none",
            **variables,
        }
    )
    parts = compose_mail(settings, ScriptedAnswerer())
    app = learn_texts(mail_service.app.create_app(settings, parts))
    yield _with_book("mail_service", app, "/api/v1/messages", parts)
    parts.database.close()


def _with_book(name: str, app: Flask, path: str, parts: Any) -> Service:
    def make_key() -> tuple[int, str]:
        with connection(parts.database):
            record, text = parts.keys.create("test")
            return record.id, text

    def revoke(number: int) -> object:
        with connection(parts.database):
            return parts.keys.revoke(number)

    return Service(name, app, path, make_key, revoke)
