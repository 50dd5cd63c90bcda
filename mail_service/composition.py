"""Puts the parts together. Nothing here connects: each part does when it is first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import peewee

from common.crypto import secret_keys
from common.database import connection
from common.env import SettingError
from common.health import Check
from common.key_book import KeyBook
from common.redis_store import RedisStore
from common.retired_keys import RetiredKeys
from common.scheduler import Scheduler
from mail_service.account import Account
from mail_service.ai_answerer import AiAnswerer
from mail_service.attachments import AttachmentReader
from mail_service.breaker import Limits
from mail_service.checks import component_checks
from mail_service.imap_server import ImapServer
from mail_service.inbox import Inbox
from mail_service.intake import Intake
from mail_service.mail_queue import PREFIX, MailQueue
from mail_service.operations import Operations
from mail_service.outbox import Outbox
from mail_service.people import People
from mail_service.personal_data import PersonalData, forget_old
from mail_service.policy import Rules
from mail_service.poll import IdleWatch, Poller
from mail_service.rendering import TemplateBroken, Templates
from mail_service.responder import Answerer, Identity, Patience, Responder
from mail_service.scanning import Scanner
from mail_service.sent_mail import SentMail
from mail_service.settings import Settings
from mail_service.smtp_client import SmtpClient
from mail_service.storage import ApiKey, open_storage
from mail_service.work import MailWork, tell_queue


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that the processes of the service are made of."""

    database: peewee.Database
    people: People
    templates: Templates
    queue: MailQueue
    imap: ImapServer
    smtp: SmtpClient
    sent: SentMail
    scanner: Scanner | None
    ai: AiAnswerer
    inbox: Inbox
    responder: Responder
    outbox: Outbox
    keys: KeyBook

    def work(self, settings: Settings) -> MailWork:
        """What a worker does."""
        return MailWork(
            self.database,
            self.responder,
            self.outbox,
            self.queue,
            lease=timedelta(seconds=settings.lease_seconds),
            timeout=timedelta(seconds=settings.processing_timeout),
            retry=timedelta(seconds=settings.retry_seconds),
        )

    def poller(self) -> Poller:
        """What the poller does."""
        return Poller(self.database, self.imap, self.inbox, self.queue, self.outbox)

    def idle_watch(self, settings: Settings, poller: Poller) -> IdleWatch:
        """What wakes the poller when mail comes."""
        return IdleWatch(self.imap, settings.imap_folder, poller)

    def scheduler(self, settings: Settings, poller: Poller) -> Scheduler:
        """What wakes the poller by the clock, and forgets what is old."""
        scheduler = Scheduler(self.database, "mail_service")
        scheduler.every("poll", settings.email_check_interval, poller.wake)
        scheduler.daily("forget_old", "03:15", lambda: self._forget_old(timedelta(days=settings.retention_days)))
        return scheduler

    def _forget_old(self, keep: timedelta) -> int:
        with connection(self.database):
            return forget_old(self.database, self.queue, keep)

    def operations(self) -> Operations:
        """What an operator can do."""
        return Operations(self.database, self.queue)

    def personal_data(self, settings: Settings) -> PersonalData:
        """What is held of people."""
        return PersonalData(self.database, self.people, self.queue, self.imap, inbox=settings.imap_folder)

    def checks(self, settings: Settings) -> Mapping[str, Callable[[], Check]]:
        """What readiness and `doctor` look at."""
        return component_checks(
            database=self.database,
            imap=self.imap,
            smtp=self.smtp,
            ai=self.ai,
            queue=self.queue,
            scanner=self.scanner,
            poll_every=settings.email_check_interval,
        )


def compose(settings: Settings, answerer: Answerer | None = None) -> Parts:
    """Open the storage, check the templates, prepare the rest; `answerer` takes the AI core's place. Raises
    SettingError for templates that cannot be used."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = secret_keys(settings.secret_key, settings.data_dir / "secret_key")
    database = open_storage(settings.database_url, keys)
    people = People(keys, RetiredKeys(database, keys))
    templates = checked_templates(settings)
    queue = MailQueue(RedisStore(settings.redis_url, prefix=PREFIX))
    imap = ImapServer(imap_account(settings))
    smtp = SmtpClient(smtp_account(settings))
    sent = SentMail(imap)
    scanner = Scanner(settings.clamav_address) if settings.clamav_address else None
    ai = ai_answerer(settings)
    responder = _responder(settings, database, people, templates, scanner, answerer or ai)
    outbox = Outbox(
        database,
        smtp,
        sent,
        sender=settings.email_address,
        lease=timedelta(seconds=settings.lease_seconds),
        check_after=timedelta(seconds=settings.send_check_after),
        retry=timedelta(seconds=settings.retry_seconds),
        give_up=timedelta(hours=settings.give_up_after_hours),
        server_files_copies=settings.sent_copy == "server",
        apologise=responder.apology_for,
        on_moved=lambda message: tell_queue(queue, message),
    )
    intake = Intake(people, max_age=timedelta(days=settings.max_message_age_days))
    inbox = Inbox(settings.imap_folder, intake, max_size=settings.max_message_size)
    return Parts(
        database, people, templates, queue, imap, smtp, sent, scanner, ai, inbox, responder, outbox,
        KeyBook(ApiKey),
    )  # fmt: skip


def checked_templates(settings: Settings) -> Templates:
    """The templates, each rendered once. Raises SettingError."""
    templates = Templates(settings.templates_dir)
    try:
        templates.check()
    except TemplateBroken as broken:
        raise SettingError(f"TEMPLATES_DIR: {broken}") from broken
    return templates


def ai_answerer(settings: Settings) -> AiAnswerer:
    """The AI core, as mail asks it."""
    return AiAnswerer(
        settings.ai_api_url,
        settings.ai_api_key,
        model=settings.ai_model,
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
    )


def imap_account(settings: Settings) -> Account:
    """The assistant's mailbox."""
    return Account(
        settings.imap_host,
        settings.imap_port,
        settings.imap_ssl,
        settings.email_address,
        settings.email_password,
        settings.tls_ca_file,
    )


def smtp_account(settings: Settings) -> Account:
    """Where replies are handed in."""
    return Account(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_ssl,
        settings.smtp_username,
        settings.smtp_password,
        settings.tls_ca_file,
    )


def _responder(
    settings: Settings,
    database: peewee.Database,
    people: People,
    templates: Templates,
    scanner: Scanner | None,
    answerer: Answerer,
) -> Responder:
    return Responder(
        database,
        identity=Identity(settings.email_address, settings.email_domain),
        rules=Rules(
            own_addresses=settings.own_addresses,
            blocked_senders=settings.blocked_senders,
            allowed_senders=settings.allowed_senders,
            authserv_id=settings.authserv_id,
            filtered_words=settings.content_filter,
        ),
        limits=Limits(
            sender_hour=settings.max_emails_per_sender_hour,
            subject_day=settings.max_emails_per_subject_day,
            everybody_hour=settings.max_emails_per_hour,
        ),
        patience=Patience(
            retry=timedelta(seconds=settings.retry_seconds),
            max_attempts=settings.max_attempts,
            give_up=timedelta(hours=settings.give_up_after_hours),
        ),
        people=people,
        reader=AttachmentReader(
            scanner, max_size=settings.max_attachment_size, seconds=settings.processing_timeout / 2
        ),
        answerer=answerer,
        templates=templates,
    )
