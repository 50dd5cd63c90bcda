"""The mail service's settings, read once from the environment into one frozen object. Nothing else reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from common.env import Environment, SettingError
from mail_service.addresses import normalised

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
SENT_COPIES = ("server", "append")


@dataclass(frozen=True, slots=True)
class Settings:
    """Each field is the environment variable of the same name in capitals; the README's table explains them."""

    host: str
    port: int
    data_dir: Path
    database_url: str
    redis_url: str
    secret_key: tuple[str, ...] = field(repr=False)
    email_address: str
    email_password: str = field(repr=False)
    email_domain: str
    email_aliases: tuple[str, ...]
    imap_host: str
    imap_port: int
    imap_ssl: bool
    imap_folder: str
    smtp_host: str
    smtp_port: int
    smtp_ssl: bool
    smtp_username: str
    smtp_password: str = field(repr=False)
    tls_ca_file: Path | None
    sent_copy: str
    ai_api_url: str
    ai_api_key: str = field(repr=False)
    ai_model: str | None
    clamav_address: str | None
    authserv_id: str | None
    allowed_senders: tuple[str, ...]
    blocked_senders: tuple[str, ...]
    content_filter: tuple[str, ...]
    templates_dir: Path | None
    email_check_interval: float
    max_emails_per_hour: int
    max_emails_per_sender_hour: int
    max_emails_per_subject_day: int
    max_message_size: int
    max_attachment_size: int
    max_message_age_days: int
    max_tokens: int
    temperature: float
    processing_timeout: float
    lease_seconds: float
    send_check_after: float
    retry_seconds: float
    max_attempts: int
    give_up_after_hours: float
    retention_days: int
    web_threads: int
    trusted_proxies: int
    log_level: str
    notify_socket: str | None
    watchdog_usec: int
    watchdog_pid: int

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] | None = None) -> Settings:
        """Read and check every setting. Raises SettingError, one line that names the variable."""
        env = Environment(os.environ if variables is None else variables)
        data_dir = env.path("DATA_DIR", Path("data"))
        address = _address(env, "EMAIL_ADDRESS")
        password = env.text("EMAIL_PASSWORD")
        imap_port = env.integer("IMAP_PORT", 993, minimum=1, maximum=65_535)
        smtp_port = env.integer("SMTP_PORT", 587, minimum=1, maximum=65_535)
        return cls(
            host=env.text("HOST", "127.0.0.1"),
            port=env.integer("PORT", 8002, minimum=1, maximum=65_535),
            data_dir=data_dir,
            database_url=env.text("DATABASE_URL", f"sqlite:///{data_dir / 'mail_service.sqlite3'}"),
            redis_url=env.text("REDIS_URL", "redis://127.0.0.1:6379/0"),
            secret_key=env.words("SECRET_KEY"),
            email_address=address,
            email_password=password,
            email_domain=env.text("EMAIL_DOMAIN", address.rpartition("@")[2]),
            email_aliases=_addresses(env, "EMAIL_ALIASES"),
            imap_host=env.text("IMAP_HOST"),
            imap_port=imap_port,
            imap_ssl=_implicit_tls(env, "IMAP_SSL", imap_port, implicit=993, starttls=143),
            imap_folder=env.text("IMAP_FOLDER", "INBOX"),
            smtp_host=env.text("SMTP_HOST"),
            smtp_port=smtp_port,
            smtp_ssl=_implicit_tls(env, "SMTP_SSL", smtp_port, implicit=465, starttls=587),
            smtp_username=env.text("SMTP_USERNAME", address),
            smtp_password=env.text("SMTP_PASSWORD", password),
            tls_ca_file=env.existing_file("TLS_CA_FILE"),
            sent_copy=env.choice("SENT_COPY", "server", SENT_COPIES),
            ai_api_url=env.text("AI_API_URL", "http://127.0.0.1:8000"),
            ai_api_key=env.text("AI_API_KEY"),
            ai_model=env.optional("AI_MODEL"),
            clamav_address=env.optional("CLAMAV_ADDRESS"),
            authserv_id=env.optional("AUTHSERV_ID"),
            allowed_senders=env.words("ALLOWED_SENDERS"),
            blocked_senders=env.words("BLOCKED_SENDERS"),
            content_filter=env.words("CONTENT_FILTER"),
            templates_dir=env.existing_path("TEMPLATES_DIR"),
            email_check_interval=env.number("EMAIL_CHECK_INTERVAL", 30, minimum=1, maximum=3_600),
            max_emails_per_hour=env.integer("MAX_EMAILS_PER_HOUR", 100, minimum=1, maximum=1_000_000),
            max_emails_per_sender_hour=env.integer("MAX_EMAILS_PER_SENDER_HOUR", 10, minimum=1, maximum=1_000_000),
            max_emails_per_subject_day=env.integer("MAX_EMAILS_PER_SUBJECT_DAY", 8, minimum=1, maximum=1_000_000),
            max_message_size=env.integer("MAX_MESSAGE_SIZE", 26_214_400, minimum=10_000, maximum=104_857_600),
            max_attachment_size=env.integer("MAX_ATTACHMENT_SIZE", 10_485_760, minimum=0, maximum=104_857_600),
            max_message_age_days=env.integer("MAX_MESSAGE_AGE_DAYS", 7, minimum=1, maximum=3_650),
            max_tokens=env.integer("MAX_TOKENS", 1_500, minimum=1, maximum=2_048),
            temperature=env.number("TEMPERATURE", 0.3, minimum=0, maximum=2),
            processing_timeout=env.number("PROCESSING_TIMEOUT", 300, minimum=5, maximum=3_600),
            lease_seconds=env.number("LEASE_SECONDS", 30, minimum=0.5, maximum=600),
            send_check_after=env.number("SEND_CHECK_AFTER", 330, minimum=0, maximum=3_600),
            retry_seconds=env.number("RETRY_SECONDS", 30, minimum=0.01, maximum=3_600),
            max_attempts=env.integer("MAX_ATTEMPTS", 5, minimum=1, maximum=100),
            give_up_after_hours=env.number("GIVE_UP_AFTER_HOURS", 24, minimum=0, maximum=720),
            retention_days=env.integer("RETENTION_DAYS", 90, minimum=1, maximum=3_650),
            web_threads=env.integer("WEB_THREADS", 8, minimum=2, maximum=1_024),
            trusted_proxies=env.integer("TRUSTED_PROXIES", 0, minimum=0, maximum=10),
            log_level=env.choice("LOG_LEVEL", "INFO", LOG_LEVELS),
            notify_socket=env.optional("NOTIFY_SOCKET"),
            watchdog_usec=env.integer("WATCHDOG_USEC", 0, minimum=0, maximum=2**63),
            watchdog_pid=env.integer("WATCHDOG_PID", 0, minimum=0, maximum=2**31),
        )

    @property
    def own_addresses(self) -> tuple[str, ...]:
        """The assistant's address and its aliases."""
        return (self.email_address, *self.email_aliases)


def _address(env: Environment, name: str) -> str:
    return _checked(name, env.text(name))


def _addresses(env: Environment, name: str) -> tuple[str, ...]:
    return tuple(_checked(name, word) for word in env.words(name))


def _checked(name: str, text: str) -> str:
    address = normalised(text)
    if address is None:
        raise SettingError(f"{name}: {text!r} is not a mail address")
    return address


def _implicit_tls(env: Environment, name: str, port: int, *, implicit: int, starttls: int) -> bool:
    """Whether TLS begins with the connection; else STARTTLS is required: nothing goes in clear. The well-known ports
    speak for themselves (RFC 8314), on others the variable decides."""
    wanted = env.choice(name, "true" if name == "IMAP_SSL" else "false", ("true", "false")) == "true"
    return {implicit: True, starttls: False}.get(port, wanted)
