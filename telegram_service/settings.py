"""The Telegram service's settings, read once from the environment into one frozen object. Nothing else reads it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from common.crypto import SHORTEST_SECRET
from common.env import Environment, SettingError

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
BOT_API = "https://api.telegram.org"
_TOKEN = re.compile(r"\d{6,}:[A-Za-z0-9_-]{30,}")
_WEBHOOK_SECRET = re.compile(r"[A-Za-z0-9_-]{16,256}")  # setWebhook takes these characters, and 1 of them would do


@dataclass(frozen=True, slots=True)
class Settings:
    """Each field is the environment variable of the same name in capitals; the README's table explains them."""

    host: str
    port: int
    data_dir: Path
    database_url: str
    redis_url: str
    secret_key: tuple[str, ...] = field(repr=False)
    telegram_bot_token: str = field(repr=False)
    telegram_api_url: str
    messages_per_second: int
    webhook_url: str | None
    webhook_secret: str | None = field(repr=False)
    webhook_max_connections: int
    ai_api_url: str
    ai_api_key: str = field(repr=False)
    ai_timeout: float
    default_model: str | None
    max_tokens: int
    temperature: float | None
    top_p: float | None
    top_k: int | None
    repetition_penalty: float | None
    max_conversation_length: int
    session_timeout: int
    max_messages_per_minute: int
    max_messages_per_minute_global: int
    max_messages_burst: int
    max_file_size: int
    admin_users: tuple[int, ...]
    allowed_users: tuple[int, ...]
    blocked_users: tuple[int, ...]
    worker_threads: int
    lease_seconds: float
    processing_timeout: float
    shutdown_grace: float
    retry_seconds: float
    max_attempts: int
    give_up_after_minutes: float
    dead_after: int
    dead_letter_days: int
    retention_days: int
    web_threads: int
    trusted_proxies: int
    log_level: str
    debug: bool
    notify_socket: str | None
    watchdog_usec: int
    watchdog_pid: int

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] | None = None) -> Settings:
        """Read and check every setting. Raises SettingError, one line that names the variable."""
        env = Environment(os.environ if variables is None else variables)
        data_dir = env.path("DATA_DIR", Path("data"))
        debug = env.choice("DEBUG", "false", ("true", "false")) == "true"
        return cls(
            host=env.text("HOST", "127.0.0.1"),
            port=env.integer("PORT", 8001, minimum=1, maximum=65_535),
            data_dir=data_dir,
            database_url=env.text("DATABASE_URL", f"sqlite:///{data_dir / 'telegram_service.sqlite3'}"),
            redis_url=env.text("REDIS_URL", "redis://127.0.0.1:6379/0"),
            secret_key=_secrets(env),
            telegram_bot_token=_token(env),
            telegram_api_url=_url("TELEGRAM_API_URL", env.text("TELEGRAM_API_URL", BOT_API)),
            messages_per_second=env.integer("MESSAGES_PER_SECOND", 28, minimum=1, maximum=1_000_000),
            webhook_url=_optional_url(env, "WEBHOOK_URL"),
            webhook_secret=_webhook_secret(env),
            webhook_max_connections=env.integer("WEBHOOK_MAX_CONNECTIONS", 8, minimum=1, maximum=100),
            ai_api_url=_url("AI_API_URL", env.text("AI_API_URL", "http://127.0.0.1:8000")),
            ai_api_key=env.text("AI_API_KEY"),
            ai_timeout=env.number("AI_TIMEOUT", 60, minimum=1, maximum=600),
            default_model=env.optional("DEFAULT_MODEL"),
            max_tokens=env.integer("MAX_TOKENS", 512, minimum=1, maximum=2_048),
            temperature=env.number("TEMPERATURE", 0, minimum=0, maximum=2) if env.optional("TEMPERATURE") else None,
            top_p=env.number("TOP_P", 0, minimum=0, maximum=1) if env.optional("TOP_P") else None,
            top_k=env.integer("TOP_K", 1, minimum=1, maximum=100) if env.optional("TOP_K") else None,
            repetition_penalty=env.number("REPETITION_PENALTY", 0.01, minimum=0.01, maximum=2)
            if env.optional("REPETITION_PENALTY")
            else None,
            max_conversation_length=env.integer("MAX_CONVERSATION_LENGTH", 50, minimum=0, maximum=1_000),
            session_timeout=env.integer("SESSION_TIMEOUT", 3_600, minimum=1, maximum=31_536_000),
            max_messages_per_minute=env.integer("MAX_MESSAGES_PER_MINUTE", 30, minimum=1, maximum=1_000_000),
            max_messages_per_minute_global=env.integer(
                "MAX_MESSAGES_PER_MINUTE_GLOBAL", 3_000, minimum=1, maximum=1_000_000
            ),
            max_messages_burst=env.integer("MAX_MESSAGES_BURST", 10, minimum=1, maximum=1_000_000),
            max_file_size=env.integer("MAX_FILE_SIZE", 10_485_760, minimum=0, maximum=20_971_520),
            admin_users=_people(env, "ADMIN_USERS"),
            allowed_users=_people(env, "ALLOWED_USERS"),
            blocked_users=_people(env, "BLOCKED_USERS"),
            worker_threads=env.integer("WORKER_THREADS", 16, minimum=1, maximum=512),
            lease_seconds=env.number("LEASE_SECONDS", 30, minimum=0.5, maximum=600),
            processing_timeout=env.number("PROCESSING_TIMEOUT", 600, minimum=5, maximum=3_600),
            shutdown_grace=env.number("SHUTDOWN_GRACE", 20, minimum=0, maximum=600),
            retry_seconds=env.number("RETRY_SECONDS", 2, minimum=0.01, maximum=3_600),
            max_attempts=env.integer("MAX_ATTEMPTS", 5, minimum=1, maximum=100),
            give_up_after_minutes=env.number("GIVE_UP_AFTER_MINUTES", 15, minimum=0.01, maximum=1_440),
            dead_after=env.integer("DEAD_AFTER", 4, minimum=2, maximum=100),
            dead_letter_days=env.integer("DEAD_LETTER_DAYS", 7, minimum=1, maximum=365),
            retention_days=env.integer("RETENTION_DAYS", 90, minimum=1, maximum=3_650),
            web_threads=env.integer("WEB_THREADS", 16, minimum=2, maximum=1_024),
            trusted_proxies=env.integer("TRUSTED_PROXIES", 0, minimum=0, maximum=10),
            log_level="DEBUG" if debug else env.choice("LOG_LEVEL", "INFO", LOG_LEVELS),
            debug=debug,
            notify_socket=env.optional("NOTIFY_SOCKET"),
            watchdog_usec=env.integer("WATCHDOG_USEC", 0, minimum=0, maximum=2**63),
            watchdog_pid=env.integer("WATCHDOG_PID", 0, minimum=0, maximum=2**31),
        )


def _token(env: Environment) -> str:
    token = env.text("TELEGRAM_BOT_TOKEN")
    if not _TOKEN.fullmatch(token):
        raise SettingError(
            "TELEGRAM_BOT_TOKEN: this is not a bot's token (123456789:letters-and-digits, of @BotFather)"
        )
    return token


def _secrets(env: Environment) -> tuple[str, ...]:
    keys = env.words("SECRET_KEY")
    if any(len(key) < SHORTEST_SECRET for key in keys):
        raise SettingError(f"SECRET_KEY: each secret needs {SHORTEST_SECRET} characters or more")
    return keys


def _webhook_secret(env: Environment) -> str | None:
    secret = env.optional("WEBHOOK_SECRET")
    if secret is not None and not _WEBHOOK_SECRET.fullmatch(secret):
        raise SettingError("WEBHOOK_SECRET: 16 to 256 letters, digits, _ and -")
    return secret


def _optional_url(env: Environment, name: str) -> str | None:
    value = env.optional(name)
    return None if value is None else _url(name, value)


def _url(name: str, value: str) -> str:
    try:
        parts = urlsplit(value)
        host, has_password = parts.hostname, parts.password is not None
    except ValueError:
        host, has_password, parts = None, False, urlsplit("")
    if parts.scheme not in ("http", "https") or not host or has_password or parts.query or parts.fragment:
        raise SettingError(f"{name}: write http(s)://HOST[:PORT][/PATH]")
    return value.rstrip("/")


def _people(env: Environment, name: str) -> tuple[int, ...]:
    words = env.words(name)
    if not all(re.fullmatch(r"\d{1,16}", word) for word in words):
        raise SettingError(f"{name}: write Telegram's numbers for people, 123456789,987654321")
    return tuple(map(int, words))
