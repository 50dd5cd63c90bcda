"""The Flask application of the mail service: health, metrics, and the operator API."""

from __future__ import annotations

import logging

from flask import Flask, Response
from prometheus_client import CollectorRegistry

from common.errors import ServiceError, error_response, register_error_handlers
from common.flask_service import behind_proxies, hold_database, identify_requests, refuse_nul
from common.health_routes import health_blueprint, metrics_blueprint
from common.key_guard import guard
from common.metrics import time_requests
from common.readable_json import ReadableJson
from common.redis_store import RedisAway
from mail_service.api.access import PUBLIC_ENDPOINTS
from mail_service.api.figures import MailCollector
from mail_service.api.messages import messages_blueprint
from mail_service.api.people import people_blueprint
from mail_service.api.templates import templates_blueprint
from mail_service.composition import Parts
from mail_service.settings import Settings

logger = logging.getLogger(__name__)

MAX_CONTENT_LENGTH = 65_536


def create_app(settings: Settings, parts: Parts) -> Flask:
    """Build the application. Opens nothing and starts nothing."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_CONTENT_LENGTH
    app.json = ReadableJson(app)
    app.url_map.strict_slashes = False
    behind_proxies(app, settings.trusted_proxies)
    registry = CollectorRegistry()
    registry.register(MailCollector(parts.database, parts.queue))
    identify_requests(app)
    time_requests(app, registry)
    refuse_nul(app)
    hold_database(app, parts.database)
    guard(app, parts.database, parts.keys, PUBLIC_ENDPOINTS)

    app.register_blueprint(health_blueprint(parts.checks(settings)))
    app.register_blueprint(metrics_blueprint(registry))
    app.register_blueprint(messages_blueprint(parts.operations(), parts.queue))
    app.register_blueprint(people_blueprint(parts.personal_data(settings), parts.people))
    app.register_blueprint(templates_blueprint(parts.templates))
    register_error_handlers(app)
    app.register_error_handler(RedisAway, _queue_away)
    return app


def _queue_away(away: RedisAway) -> Response:
    logger.warning("queue away", extra={"reason": away.reason})
    return error_response(ServiceError(503, "queue_unavailable", "Redis does not answer.", retry_after=5))
