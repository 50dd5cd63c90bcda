"""The parts of the Telegram service that readiness and `doctor` look at."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import peewee

from common.ai_client import AiClient
from common.database import connection
from common.health import Check, Status, remembered
from common.redis_store import RedisAway
from telegram_service.mailbox import Mailbox
from telegram_service.telegram_api import TelegramApi
from telegram_service.telegram_errors import TelegramError

LONG_WAIT = 120  # seconds: an update that is older waits for a worker that is not there
RECENT = 300  # seconds: an error of the webhook that is older is history


def component_checks(
    *, database: peewee.Database, mailbox: Mailbox, telegram: TelegramApi, ai: AiClient, webhook_url: str | None
) -> Mapping[str, Callable[[], Check]]:
    """The checks by name. Updates are taken in and answered later whatever is away, so only the queue is DOWN's
    business: without it they are not taken."""
    return {
        "queue": lambda: check_queue(mailbox),
        "database": lambda: check_database(database),
        "telegram": remembered(lambda: check_telegram(telegram)),
        "webhook": remembered(lambda: check_webhook(telegram, webhook_url)),
        "ai_core": remembered(lambda: check_ai(ai), 5.0),
    }


def check_queue(mailbox: Mailbox) -> Check:
    """Whether Redis takes updates, and somebody works them off."""
    try:
        lengths, weakness = mailbox.lengths(), mailbox.weakness()
    except RedisAway as away:
        return Check(Status.DOWN, f"{away}.")
    told = f"{lengths['waiting']} waiting, {lengths['working']} in work, {lengths['dead']} dead letters."
    if lengths["waiting"] and lengths["oldest"] > LONG_WAIT:
        return Check(Status.DEGRADED, f"{told} The oldest came {lengths['oldest']} s ago: are there enough workers?")
    if weakness is not None:
        return Check(Status.DEGRADED, f"{told} {weakness}")
    return Check(Status.OK, told)


def check_database(database: peewee.Database) -> Check:
    """Whether the database answers."""
    try:
        with connection(database):
            database.execute_sql("SELECT 1")
    except peewee.PeeweeException:
        return Check(Status.DEGRADED, "Does not answer: updates wait in the queue.")
    return Check(Status.OK, "Answers.")


def check_telegram(telegram: TelegramApi) -> Check:
    """Whether the Bot API knows our token."""
    try:
        return Check(Status.OK, f"We are @{telegram.me().get('username')}.")
    except TelegramError as error:
        return Check(Status.DEGRADED, f"Answers wait: {_why(error)}.")


def check_webhook(telegram: TelegramApi, url: str | None) -> Check:
    """Whether Telegram brings updates the way that we expect them."""
    try:
        known = telegram.webhook()
    except TelegramError as error:
        return Check(Status.DEGRADED, f"Not known: {_why(error)}.")
    waiting = f"{known.get('pending_update_count', 0)} updates wait at Telegram."
    if known.get("url", "") != (url or ""):
        wanted = "It is not set: run set-webhook." if url else "One is set: start the poller, or set WEBHOOK_URL."
        return Check(Status.DEGRADED, f"{wanted} {waiting}")
    if time.time() - known.get("last_error_date", 0) < RECENT:
        return Check(Status.DEGRADED, f"Telegram could not deliver: {known.get('last_error_message')}. {waiting}")
    return Check(Status.OK, f"{'Set' if url else 'None: the poller asks'}. {waiting}")


def check_ai(ai: AiClient) -> Check:
    """Whether the AI core answers."""
    reason = ai.health()
    if reason is not None:
        return Check(Status.DEGRADED, f"Questions wait: {reason}.")
    return Check(Status.OK, "Ready.")


def _why(error: TelegramError) -> str:
    return f"{type(error).__name__} {error}".strip()
