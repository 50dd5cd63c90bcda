"""The AI core's settings, read once from the environment into one frozen object. Nothing else reads the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from common.crypto import SHORTEST_SECRET
from common.env import Environment, SettingError, existing
from common.networks import Network, network

EMBEDDED_MODEL = Path(__file__).parent / "demo_model" / "code-du-travail-demo.gguf"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True, slots=True)
class Settings:
    """Each field is the environment variable of the same name in capitals; the README's table explains them."""

    host: str
    port: int
    data_dir: Path
    database_url: str
    redis_url: str | None = field(repr=False)
    model_file: Path
    model_adapters: Mapping[str, Path]
    models_file: Path
    remote_urls: tuple[str, ...]
    remote_model: str | None
    remote_api_key: str | None = field(repr=False)
    model_switch_grace: float
    hf_endpoint: str
    downloads_at_once: int
    max_waiting_downloads: int
    download_timeout: float
    model_aliases: tuple[str, ...]
    embedding_model_file: Path | None
    embedding_search: bool
    embedding_query_prefix: str
    embedding_passage_prefix: str
    speech_model_dir: Path | None
    max_audio_length: int
    max_audio_seconds: float
    extra_model_idle_minutes: float
    knowledge_file: Path | None
    practical_sheets: bool
    sheets_file: Path | None
    system_prompt_file: Path | None
    engine_slots: int
    engine_context_length: int
    engine_threads: int
    engine_stall_seconds: float
    max_waiting_requests: int
    request_timeout: float
    max_prompt_length: int
    max_content_length: int
    rate_limit_per_minute: int
    rate_limit_user_per_minute: int
    rate_limit_global_per_minute: int
    auth_failures_per_minute: int
    grounding_articles: int
    web_threads: int
    answer_cache_seconds: float
    answer_cache_bytes: int
    content_filter_file: Path | None
    cors_origins: tuple[str, ...]
    allowed_networks: tuple[Network, ...]
    admin_networks: tuple[Network, ...]
    trusted_proxies: int
    log_level: str
    log_retention_days: int
    secret_key: tuple[str, ...] = field(repr=False)
    usage_retention_days: int
    audit_retention_days: int
    knowledge_update_at: str | None
    model_idle_unload_minutes: float
    webhook_urls: tuple[str, ...] = field(repr=False)
    webhook_key: str | None = field(repr=False)
    notify_socket: str | None
    watchdog_usec: int
    watchdog_pid: int

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] | None = None) -> Settings:
        """Read and check every setting. Raises SettingError, one line that names the variable."""
        env = Environment(os.environ if variables is None else variables)
        data_dir = env.path("DATA_DIR", Path("data"))
        remote_urls, model_file, adapters = _model(env)
        return cls(
            host=env.text("HOST", "127.0.0.1"),
            port=env.integer("PORT", 8000, minimum=1, maximum=65_535),
            data_dir=data_dir,
            database_url=env.text("DATABASE_URL", f"sqlite:///{data_dir / 'ai_core.sqlite3'}"),
            model_file=model_file,
            model_adapters=adapters,
            models_file=env.path("MODELS_FILE", data_dir / "models.json"),
            redis_url=_redis(env),
            remote_urls=remote_urls,
            remote_model=env.optional("REMOTE_MODEL"),
            remote_api_key=env.optional("REMOTE_API_KEY"),
            model_switch_grace=env.number("MODEL_SWITCH_GRACE", 20, minimum=0, maximum=60),
            hf_endpoint=_hub(env),
            downloads_at_once=env.integer("DOWNLOADS_AT_ONCE", 1, minimum=1, maximum=4),
            max_waiting_downloads=env.integer("MAX_WAITING_DOWNLOADS", 20, minimum=0, maximum=1_000),
            download_timeout=env.number("DOWNLOAD_TIMEOUT", 30, minimum=1, maximum=600),
            model_aliases=env.words("MODEL_ALIASES"),
            embedding_model_file=env.existing_file("EMBEDDING_MODEL_FILE"),
            embedding_search=_embedding_search(env),
            embedding_query_prefix=env.text("EMBEDDING_QUERY_PREFIX", ""),
            embedding_passage_prefix=env.text("EMBEDDING_PASSAGE_PREFIX", ""),
            speech_model_dir=env.existing_folder("SPEECH_MODEL_DIR"),
            max_audio_length=env.integer("MAX_AUDIO_LENGTH", 26_214_400, minimum=1_024, maximum=1_073_741_824),
            max_audio_seconds=env.number("MAX_AUDIO_SECONDS", 600, minimum=1, maximum=36_000),
            extra_model_idle_minutes=env.number("EXTRA_MODEL_IDLE_MINUTES", 15, minimum=0, maximum=100_000),
            knowledge_file=env.existing_file("KNOWLEDGE_FILE"),
            practical_sheets=env.choice("PRACTICAL_SHEETS", "false", ("true", "false")) == "true",
            sheets_file=env.existing_file("SHEETS_FILE"),
            system_prompt_file=env.existing_file("SYSTEM_PROMPT_FILE"),
            engine_slots=env.integer("ENGINE_SLOTS", 16, minimum=1, maximum=256),
            engine_context_length=env.integer("ENGINE_CONTEXT_LENGTH", 0, minimum=0, maximum=1_048_576),
            engine_threads=env.integer("ENGINE_THREADS", 0, minimum=0, maximum=512),
            engine_stall_seconds=env.number("ENGINE_STALL_SECONDS", 60, minimum=1, maximum=3_600),
            max_waiting_requests=env.integer("MAX_WAITING_REQUESTS", 64, minimum=0, maximum=10_000),
            request_timeout=env.number("REQUEST_TIMEOUT", 55, minimum=1, maximum=59),
            max_prompt_length=env.integer("MAX_PROMPT_LENGTH", 20_000, minimum=100, maximum=10_000_000),
            max_content_length=env.integer("MAX_CONTENT_LENGTH", 2_097_152, minimum=1_024, maximum=104_857_600),
            rate_limit_per_minute=env.integer("RATE_LIMIT_PER_MINUTE", 60, minimum=1, maximum=1_000_000),
            rate_limit_user_per_minute=env.integer("RATE_LIMIT_USER_PER_MINUTE", 30, minimum=1, maximum=1_000_000),
            rate_limit_global_per_minute=env.integer(
                "RATE_LIMIT_GLOBAL_PER_MINUTE", 600, minimum=1, maximum=10_000_000
            ),
            auth_failures_per_minute=env.integer("AUTH_FAILURES_PER_MINUTE", 20, minimum=1, maximum=1_000_000),
            grounding_articles=env.integer("GROUNDING_ARTICLES", 4, minimum=1, maximum=20),
            web_threads=env.integer("WEB_THREADS", 64, minimum=2, maximum=1_024),
            answer_cache_seconds=env.number("ANSWER_CACHE_SECONDS", 3_600, minimum=0, maximum=2_592_000),
            answer_cache_bytes=env.integer("ANSWER_CACHE_BYTES", 33_554_432, minimum=0, maximum=2**40),
            content_filter_file=env.existing_file("CONTENT_FILTER_FILE"),
            cors_origins=_origins(env),
            allowed_networks=_networks(env, "ALLOWED_NETWORKS"),
            admin_networks=_networks(env, "ADMIN_NETWORKS"),
            trusted_proxies=env.integer("TRUSTED_PROXIES", 0, minimum=0, maximum=10),
            log_level=env.choice("LOG_LEVEL", "INFO", LOG_LEVELS),
            log_retention_days=env.integer("LOG_RETENTION_DAYS", 30, minimum=1, maximum=3_650),
            secret_key=_secrets(env),
            usage_retention_days=env.integer("USAGE_RETENTION_DAYS", 90, minimum=1, maximum=3_650),
            audit_retention_days=env.integer("AUDIT_RETENTION_DAYS", 365, minimum=1, maximum=3_650),
            knowledge_update_at=_time_of_day(env, "KNOWLEDGE_UPDATE_AT", "03:30"),
            model_idle_unload_minutes=env.number("MODEL_IDLE_UNLOAD_MINUTES", 0, minimum=0, maximum=100_000),
            webhook_urls=_webhook_urls(env),
            webhook_key=env.optional("WEBHOOK_KEY"),
            notify_socket=env.optional("NOTIFY_SOCKET"),
            watchdog_usec=env.integer("WATCHDOG_USEC", 0, minimum=0, maximum=2**63),
            watchdog_pid=env.integer("WATCHDOG_PID", 0, minimum=0, maximum=2**31),
        )

    def system_prompt(self, default: str) -> str:
        """The operator's system prompt, else `default`. Raises SettingError for an empty or unreadable file."""
        if self.system_prompt_file is None:
            return default
        try:
            text = self.system_prompt_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"SYSTEM_PROMPT_FILE: cannot be read: {error.__class__.__name__}") from None
        if not text:
            raise SettingError("SYSTEM_PROMPT_FILE: is empty")
        return text


def _model(env: Environment) -> tuple[tuple[str, ...], Path, dict[str, Path]]:
    """Where the first model is: the addresses of its servers, or its files and their adapters."""
    urls = env.words("REMOTE_URLS")
    file = env.existing_path("MODEL_FILE")
    adapters = {name: existing("MODEL_ADAPTERS", path) for name, path in env.pairs("MODEL_ADAPTERS").items()}
    if urls and (file is not None or adapters):
        raise SettingError("REMOTE_URLS: a remote model takes neither MODEL_FILE nor MODEL_ADAPTERS")
    if not urls and (env.optional("REMOTE_MODEL") or env.optional("REMOTE_API_KEY")):
        raise SettingError("REMOTE_URLS: must be set with REMOTE_MODEL or REMOTE_API_KEY")
    for url in urls:
        if not url.startswith(("http://", "https://")):
            raise SettingError(f"REMOTE_URLS: {url} is not an http(s) address")
    return urls, file or EMBEDDED_MODEL, adapters


def _hub(env: Environment) -> str:
    """The Hugging Face Hub's address, or a mirror's."""
    url = env.text("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise SettingError("HF_ENDPOINT: must be an http(s) address without key or query")
    return url


def _secrets(env: Environment) -> tuple[str, ...]:
    """Newest first. A short one could be guessed from what it signs."""
    secrets = env.words("SECRET_KEY")
    if any(len(secret) < SHORTEST_SECRET for secret in secrets):
        raise SettingError(f"SECRET_KEY: each secret needs {SHORTEST_SECRET} characters or more")
    return secrets


def _embedding_search(env: Environment) -> bool:
    wanted = env.choice("EMBEDDING_SEARCH", "false", ("true", "false")) == "true"
    if wanted and env.existing_file("EMBEDDING_MODEL_FILE") is None:
        raise SettingError("EMBEDDING_SEARCH: needs EMBEDDING_MODEL_FILE")
    return wanted


def _time_of_day(env: Environment, name: str, default: str) -> str | None:
    """HH:MM, or None for `off`."""
    value = env.text(name, default)
    if value == "off":
        return None
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value):
        raise SettingError(f"{name}: {value!r} is neither HH:MM nor off")
    return value


def _webhook_urls(env: Environment) -> tuple[str, ...]:
    urls = env.words("WEBHOOK_URLS")
    if not all(url.startswith(("http://", "https://")) for url in urls):
        raise SettingError("WEBHOOK_URLS: one of them is not an http(s) address")  # it may hold a token: not shown
    if urls and env.optional("WEBHOOK_KEY") is None:
        raise SettingError("WEBHOOK_KEY: must be set with WEBHOOK_URLS")
    return urls


def _redis(env: Environment) -> str | None:
    url = env.optional("REDIS_URL")
    if url is not None and not url.startswith(("redis://", "rediss://", "unix://")):
        raise SettingError("REDIS_URL: write redis://HOST:PORT/NUMBER, rediss:// or unix://")
    return url


def _origins(env: Environment) -> tuple[str, ...]:
    origins = env.words("CORS_ORIGINS")
    for origin in origins:
        parts = urlsplit(origin)
        if origin != "*" and (parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}"):
            raise SettingError(f"CORS_ORIGINS: {origin} is neither * nor scheme://host[:port]")
    return origins


def _networks(env: Environment, name: str) -> tuple[Network, ...]:
    try:
        return tuple(network(text) for text in env.words(name))
    except ValueError as error:
        raise SettingError(f"{name}: {error}") from None
