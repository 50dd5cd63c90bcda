"""Puts the parts together. Nothing here connects: each part does when it is first used."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import peewee
from prometheus_client.registry import Collector

from common.ai_client import AiClient
from common.crypto import Cipher, secret_keys
from common.database import migrate
from common.health import Check
from common.key_book import KeyBook
from common.redis_store import RedisStore
from common.scheduler import Scheduler
from telegram_service.api.figures import BotCollector, QueueCollector
from telegram_service.bot import Bot
from telegram_service.bot_composition import build_bot
from telegram_service.checks import component_checks
from telegram_service.dispatcher import Dispatcher
from telegram_service.intake import Intake
from telegram_service.key_storage import ApiKey
from telegram_service.mailbox import PREFIX, Mailbox
from telegram_service.pace import Pace
from telegram_service.poller import Poller
from telegram_service.settings import Settings
from telegram_service.storage import COMPONENT, MIGRATIONS
from telegram_service.tables import bind_tables
from telegram_service.telegram_api import TelegramApi
from telegram_service.worker import Patience, Worker

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that the processes of the service are made of."""

    database: peewee.Database
    mailbox: Mailbox
    intake: Intake
    telegram: TelegramApi
    ai: AiClient
    keys: KeyBook
    bot: Bot

    def prepare_database(self) -> None:
        """Bring the schema up to date. Raises peewee.PeeweeException where the database does not answer."""
        migrate(self.database, COMPONENT, MIGRATIONS)

    def await_database(self, stopping: threading.Event, note: Callable[[], None]) -> None:
        """The same, as soon as the database answers; `note` is called meanwhile."""
        while not stopping.is_set():
            note()
            try:
                self.prepare_database()
            except peewee.PeeweeException as error:
                logger.error("database away", extra={"reason": type(error).__name__})
                stopping.wait(2.0)
            else:
                return

    def worker(self, settings: Settings) -> Worker:
        """What works the queue off."""
        return Worker(
            self.mailbox,
            Dispatcher(self.bot),
            threads=settings.worker_threads,
            lease=settings.lease_seconds,
            patience=Patience(
                retry=settings.retry_seconds,
                give_up=settings.give_up_after_minutes * 60,
                timeout=settings.processing_timeout,
                max_failures=settings.max_attempts,
            ),
        )

    def poller(self) -> Poller:
        """What asks Telegram for updates."""
        return Poller(self.telegram, self.intake)

    def scheduler(self, settings: Settings) -> Scheduler:
        """Regular jobs: what is old is forgotten."""
        scheduler, keep = Scheduler(self.database, "telegram_service"), timedelta(days=settings.retention_days)
        scheduler.daily("forget_old", "03:15", lambda: self.bot.personal_data.forget_old(keep))
        return scheduler

    def checks(self, settings: Settings) -> Mapping[str, Callable[[], Check]]:
        """What readiness and `doctor` look at."""
        return component_checks(
            database=self.database,
            mailbox=self.mailbox,
            telegram=self.telegram,
            ai=self.ai,
            webhook_url=settings.webhook_url,
        )

    def collectors(self) -> Sequence[Collector]:
        """What /metrics tells beside the requests."""
        return QueueCollector(self.mailbox), BotCollector(self.bot.people, self.bot.usage)


def compose(settings: Settings) -> Parts:
    """Prepare everything."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = secret_keys(settings.secret_key, settings.data_dir / "secret_key")
    store = RedisStore(settings.redis_url, prefix=PREFIX)
    mailbox = Mailbox(
        store,
        Cipher(keys),
        lease=settings.lease_seconds,
        dead_after=settings.dead_after,
        dead_letter_seconds=settings.dead_letter_days * 86_400,
    )
    database = bind_tables(settings.database_url, keys)
    telegram = TelegramApi(
        settings.telegram_bot_token,
        settings.telegram_api_url,
        pace=Pace(store, overall=settings.messages_per_second),
    )
    ai = AiClient(settings.ai_api_url, settings.ai_api_key, timeout=settings.ai_timeout)
    return Parts(
        database=database,
        mailbox=mailbox,
        intake=Intake(mailbox),
        telegram=telegram,
        ai=ai,
        keys=KeyBook(ApiKey),
        bot=build_bot(
            settings, database=database, store=store, mailbox=mailbox, telegram=telegram, ai=ai, secrets=keys
        ),
    )
