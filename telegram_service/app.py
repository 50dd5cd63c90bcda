"""The Flask application of the Telegram service: the webhook, health, metrics."""

from __future__ import annotations

import logging

import peewee
from flask import Flask, Response
from prometheus_client import CollectorRegistry

from common.env import SettingError
from common.errors import ServiceError, error_response, register_error_handlers
from common.flask_service import behind_proxies, identify_requests, refuse_nul
from common.health_routes import health_blueprint, metrics_blueprint
from common.key_guard import guard
from common.metrics import time_requests, watch_process
from common.readable_json import ReadableJson
from common.redis_store import RedisAway
from telegram_service.api.webhook import webhook_blueprint
from telegram_service.composition import Parts
from telegram_service.settings import Settings

logger = logging.getLogger(__name__)

MAX_CONTENT_LENGTH = 1_048_576  # bytes; an update has some kilobytes
PUBLIC_ENDPOINTS = frozenset({"health.alive", "health.ready", "webhook.take"})  # the webhook has a secret of its own


def create_app(settings: Settings, parts: Parts) -> Flask:
    """Build the application. Opens nothing and starts nothing. Raises SettingError."""
    if settings.webhook_secret is None:
        raise SettingError("WEBHOOK_SECRET: must be set")
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_CONTENT_LENGTH
    app.json = ReadableJson(app)
    app.url_map.strict_slashes = False
    behind_proxies(app, settings.trusted_proxies)
    registry = CollectorRegistry()
    watch_process(registry)
    for collector in parts.collectors():
        registry.register(collector)
    identify_requests(app)
    time_requests(app, registry)
    refuse_nul(app)
    # No database is held during requests: the webhook needs none, and must not wait for one.
    guard(app, parts.database, parts.keys, PUBLIC_ENDPOINTS)

    app.register_blueprint(webhook_blueprint(parts.intake, settings.webhook_secret))
    app.register_blueprint(health_blueprint(parts.checks(settings)))
    app.register_blueprint(metrics_blueprint(registry))
    register_error_handlers(app)
    app.register_error_handler(RedisAway, _queue_away)
    for error in (peewee.OperationalError, peewee.InterfaceError):
        app.register_error_handler(error, _database_away)
    return app


def _queue_away(away: RedisAway) -> Response:
    logger.warning("queue away", extra={"reason": away.reason})
    return error_response(ServiceError(503, "queue_unavailable", "Redis does not answer.", retry_after=5))


def _database_away(error: Exception) -> Response:
    logger.error("database away", extra={"reason": type(error).__name__})
    return error_response(ServiceError(503, "database_unavailable", "The database does not answer.", retry_after=5))
