"""The Flask application of the AI core."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import peewee
from flask import Flask, request
from prometheus_client import CollectorRegistry

from ai_core.api.access import Limits, Networks, guard, required_scope
from ai_core.api.admin import maintenance_blueprint, observation_blueprint
from ai_core.api.answer_metrics import AnswerMetrics
from ai_core.api.answers import answers_blueprint
from ai_core.api.audit import audit_blueprint, audit_requests
from ai_core.api.blueprint import Api
from ai_core.api.collectors import CacheCollector, EngineCollector, OperationsCollector
from ai_core.api.cors import allow_origins
from ai_core.api.downloads import DownloadsCollector, downloads_blueprint
from ai_core.api.health import health_blueprint, metrics_blueprint
from ai_core.api.key_admin import key_admin_blueprint
from ai_core.api.knowledge import knowledge_blueprint
from ai_core.api.media_types import refuse_other_bodies
from ai_core.api.models import models_blueprint
from ai_core.api.openai_compat import register as openai_compat
from ai_core.api.openai_compat.errors import error_form
from ai_core.api.openapi import OPENAPI_CONFIG
from ai_core.api.pages import blueprint as pages
from ai_core.api.parameters import parameters_blueprint
from ai_core.api.people import people_blueprint
from ai_core.api.usage import usage_blueprint
from ai_core.assistant import Assistant
from ai_core.catalog.downloads.queue import Downloads
from ai_core.catalog.registry import Registry
from ai_core.downloads import coming_models
from ai_core.embedding_model import EmbeddingModel
from ai_core.jobs import log_directory
from ai_core.knowledge.current import CurrentKnowledge
from ai_core.model_host import ModelHost
from ai_core.model_parameters import ParameterStore
from ai_core.operations import Operations
from ai_core.settings import Settings
from ai_core.speech_model import SpeechModel
from common.errors import register_error_handlers
from common.flask_service import behind_proxies, hold_database, identify_requests, refuse_nul
from common.metrics import ComponentCollector, ErrorCounter, time_requests, watch_process
from common.readable_json import ReadableJson
from common.redis_store import RedisStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application answers with; whoever composes it starts and stops them."""

    database: peewee.Database
    model: ModelHost
    knowledge: CurrentKnowledge
    assistant: Assistant
    operations: Operations
    store: RedisStore | None
    registry: Registry
    parameters: ParameterStore
    embeddings: EmbeddingModel | None = None
    speech: SpeechModel | None = None
    downloads: Downloads | None = None


def create_app(settings: Settings, parts: Parts) -> Flask:
    """Build the application. Opens nothing and starts nothing."""
    app = Flask(__name__, static_folder=None)
    app.config.update(OPENAPI_CONFIG, MAX_CONTENT_LENGTH=settings.max_content_length, TRAP_HTTP_EXCEPTIONS=False)
    app.json = ReadableJson(app)
    app.url_map.strict_slashes = False
    behind_proxies(app, settings.trusted_proxies)
    registry = CollectorRegistry()
    operations = parts.operations
    for collector in (
        EngineCollector(parts.model),
        CacheCollector(parts.assistant.cache_stats),
        OperationsCollector(operations),
        ComponentCollector(operations.checks),
    ):
        registry.register(collector)
    watch_process(registry)
    limits = Limits(
        key=settings.rate_limit_per_minute,
        user=settings.rate_limit_user_per_minute,
        everybody=settings.rate_limit_global_per_minute,
        failures=settings.auth_failures_per_minute,
        hash_of=operations.people.hash_of,
        store=parts.store,
    )
    operations.people.include("rate_limits", limits.forget)
    identify_requests(app)
    time_requests(app, registry)
    refuse_nul(app)
    errors = ErrorCounter(registry)
    errors.watch(app)
    answer_metrics = AnswerMetrics(registry, errors, operations.usage.put, operations.people.hash_of)
    allow_origins(app, settings.cors_origins)
    hold_database(app, parts.database)
    guard(app, limits, Networks(settings.allowed_networks, settings.admin_networks))
    audit_requests(app)
    answer_metrics.watch(app)
    _wake_model(app, operations)
    refuse_other_bodies(app)

    api = Api(app)
    api.register_blueprint(
        answers_blueprint(
            parts.assistant,
            limits,
            answer_metrics,
            max_prompt_length=settings.max_prompt_length,
            hash_of=operations.people.hash_of,
        )
    )
    openai_compat.register(
        api,
        assistant=parts.assistant,
        host=parts.model,
        embeddings=parts.embeddings,
        speech=parts.speech,
        limits=limits,
        metrics=answer_metrics,
        longest=settings.max_prompt_length,
        hash_of=operations.people.hash_of,
    )
    api.register_blueprint(knowledge_blueprint(parts.knowledge))
    api.register_blueprint(models_blueprint(parts.registry, parts.model, parts.parameters, coming_models))
    api.register_blueprint(parameters_blueprint(parts.registry, parts.model, parts.parameters))
    api.register_blueprint(key_admin_blueprint())
    if parts.downloads is not None:
        registry.register(DownloadsCollector(parts.downloads))
        api.register_blueprint(downloads_blueprint(parts.downloads))
    _register_administration(api, settings, parts)
    api.register_blueprint(health_blueprint(operations.checks, parts.model))
    api.register_blueprint(metrics_blueprint(registry))
    app.register_blueprint(pages)
    register_error_handlers(app, form=error_form)
    return app


def _register_administration(api: Api, settings: Settings, parts: Parts) -> None:
    operations, logs = parts.operations, log_directory(settings)
    api.register_blueprint(maintenance_blueprint(operations.cleanup, logs))
    api.register_blueprint(
        observation_blueprint(settings.data_dir, logs, parts.model, operations.checks, operations.jobs.runs)
    )
    api.register_blueprint(audit_blueprint())
    api.register_blueprint(people_blueprint(operations.people))
    api.register_blueprint(usage_blueprint())


def _wake_model(app: Flask, operations: Operations) -> None:
    """Every question counts as use of the model, also one that is refused afterwards."""

    def use() -> None:
        if request.method == "POST" and request.endpoint and required_scope(app, request.endpoint) == "chat":
            operations.idle.use()

    app.before_request(use)
