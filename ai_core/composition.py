"""Puts the parts together: storage, knowledge, model, assistant, and what systemd hears of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ai_core.answer_cache import AnswerCache
from ai_core.app import Parts
from ai_core.assistant import Assistant
from ai_core.catalog.declaration import Declaration
from ai_core.catalog.entry import NOT_IN_NAMES, ModelEntry
from ai_core.catalog.errors import CatalogError
from ai_core.catalog.formats import Format
from ai_core.catalog.loading import LoadingOptions, ModelLoader
from ai_core.catalog.registry import Registry
from ai_core.checks import check_engine, check_model, check_redis, component_checks
from ai_core.content_filter import ContentFilter
from ai_core.downloads import build_downloads
from ai_core.embedding_model import EmbeddingModel
from ai_core.knowledge.current import CurrentKnowledge
from ai_core.model_host import ModelHost
from ai_core.model_parameters import ParameterStore
from ai_core.operations import build_operations
from ai_core.prompts import SYSTEM_PROMPT
from ai_core.semantic_search import SemanticSearch
from ai_core.settings import EMBEDDED_MODEL, Settings
from ai_core.speech_model import SpeechModel
from ai_core.storage import open_storage
from common.env import SettingError
from common.redis_store import RedisStore
from common.systemd import Heartbeat, Notifier, watchdog_interval

RETRY_REMOTE = 10.0  # seconds
REDIS_PREFIX = "ai_core"


def compose(settings: Settings) -> Parts:
    """Open the storage and prepare the rest; no model is loaded yet."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = open_storage(settings.database_url)
    embeddings, speech = extra_models(settings)
    knowledge = CurrentKnowledge(
        database,
        settings.data_dir,
        sheets=settings.practical_sheets,
        semantic=semantic_search(settings, embeddings),
    )
    options = LoadingOptions(
        slots=settings.engine_slots,
        context_length=settings.engine_context_length or None,
        threads=settings.engine_threads or None,
        max_waiting=settings.max_waiting_requests,
        calibration_file=settings.data_dir / "calibration.json",
    )
    host = ModelHost(ModelLoader(options, settings.data_dir), grace_seconds=settings.model_switch_grace)
    store = None if settings.redis_url is None else RedisStore(settings.redis_url, prefix=REDIS_PREFIX)
    cache = AnswerCache(ttl=settings.answer_cache_seconds, max_bytes=settings.answer_cache_bytes, store=store)
    registry = Registry(settings.models_file, settings.data_dir / "models", named_models(settings))
    parameters = ParameterStore(lambda model_id: _preset(registry, model_id))
    assistant = Assistant(
        host,
        knowledge,
        system_prompt=settings.system_prompt(SYSTEM_PROMPT),
        articles=settings.grounding_articles,
        request_timeout=settings.request_timeout,
        aliases=settings.model_aliases,
        cache=cache,
        content_filter=_content_filter(settings),
        parameters_of=parameters.for_answers,
        is_declared=lambda model_id: registry.get(model_id) is not None,
    )
    checks = component_checks(host, knowledge, database, stall_seconds=settings.engine_stall_seconds)
    if store is not None:
        checks = {**checks, "redis": lambda: check_redis(store)}
    operations = build_operations(
        settings,
        database,
        host,
        checks,
        forget={"cached_answers": cache.forget},
        clean={
            "clean_cache": lambda dry_run: cache.stats().bytes if dry_run else cache.clear()[1],
            "clean_models": lambda dry_run: downloads.clean(dry_run),
        },
    )
    downloads = build_downloads(settings, database, operations.webhooks, registry)
    return Parts(
        database, host, knowledge, assistant, operations, store, registry, parameters, embeddings, speech, downloads
    )


def _content_filter(settings: Settings) -> ContentFilter:
    try:
        return ContentFilter(settings.content_filter_file)
    except (OSError, ValueError) as error:
        raise SettingError(f"CONTENT_FILTER_FILE: {error}") from None


def extra_models(settings: Settings) -> tuple[EmbeddingModel | None, SpeechModel | None]:
    """The models for embeddings and for speech, where the settings name them; they are loaded when somebody asks."""
    idle_seconds = 60 * settings.extra_model_idle_minutes
    embeddings, speech = None, None
    if settings.embedding_model_file is not None:
        embeddings = EmbeddingModel(
            settings.embedding_model_file, timeout=settings.request_timeout, idle_seconds=idle_seconds
        )
    if settings.speech_model_dir is not None:
        speech = SpeechModel(
            settings.speech_model_dir,
            most_bytes=settings.max_audio_length,
            most_seconds=settings.max_audio_seconds,
            timeout=settings.request_timeout,
            idle_seconds=idle_seconds,
        )
    return embeddings, speech


def semantic_search(settings: Settings, embeddings: EmbeddingModel | None) -> SemanticSearch | None:
    """The embedding model as searches use it, where the settings say that they do."""
    if embeddings is None or not settings.embedding_search:
        return None
    return SemanticSearch(
        embeddings,
        query_prefix=settings.embedding_query_prefix,
        passage_prefix=settings.embedding_passage_prefix,
    )


def _preset(registry: Registry, model_id: str) -> Mapping[str, Any]:
    declaration = registry.get(model_id)
    return {} if declaration is None else declaration.preset


def begin_to_load(settings: Settings, host: ModelHost, registry: Registry) -> None:
    """Load the first model, in a thread. One that cannot even be looked at leaves the service up, to say so."""
    first = first_model(settings, registry)
    if first.entry is None:
        host.refuse(first.id, CatalogError(first.problem or "cannot be loaded"))
    else:
        host.begin(first.entry, retry_every=RETRY_REMOTE if first.entry.format is Format.REMOTE else None)


def first_model(settings: Settings, registry: Registry) -> Declaration:
    """The model to start with: what the settings name, else the default of models.json, else the embedded one."""
    named = named_models(settings)
    default = registry.default_model
    if len(named) > 1 or default is None:
        return named[-1]
    problem = f"{settings.models_file.name} names it as default_model, but does not declare it"
    return registry.get(default) or Declaration(default, None, problem)


def named_models(settings: Settings) -> list[Declaration]:
    """The embedded model, then the one that the settings name, if any."""
    embedded = Declaration.of_entry(ModelEntry.from_path(EMBEDDED_MODEL), "embedded")
    if settings.remote_urls:
        remote = ModelEntry(
            id=NOT_IN_NAMES.sub("-", settings.remote_model or "").strip("-._") or "remote",
            format=Format.REMOTE,
            urls=settings.remote_urls,
            remote_model=settings.remote_model,
            remote_key=settings.remote_api_key,
        )
        return [embedded, Declaration.of_entry(remote, "settings")]
    if settings.model_file == EMBEDDED_MODEL and not settings.model_adapters:
        return [embedded]
    try:
        entry = ModelEntry.from_path(settings.model_file, adapters=settings.model_adapters)
    except CatalogError as error:
        return [embedded, Declaration(settings.model_file.stem, None, str(error), source="settings")]
    return [embedded, Declaration.of_entry(entry, "settings")]


def heartbeat(settings: Settings, host: ModelHost) -> Heartbeat:
    """Signs of life for systemd, as long as the engine takes steps. Not started yet."""
    stall = settings.engine_stall_seconds
    return Heartbeat(
        Notifier(settings.notify_socket),
        interval=watchdog_interval(settings.watchdog_usec, settings.watchdog_pid),
        is_able=lambda: not host.is_stalled(stall),
        status=lambda: f"{check_model(host).detail} {check_engine(host, stall).detail}",
    )
