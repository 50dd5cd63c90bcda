"""The Flask application of the mail service: health, metrics, and the operator API."""

from __future__ import annotations

import logging
import time

import peewee
from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry
from werkzeug.middleware.proxy_fix import ProxyFix

from common.errors import ServiceError, error_response, register_error_handlers
from common.log import accepted_request_id, current_request_id, request_id
from common.metrics import time_requests
from common.readable_json import ReadableJson
from common.redis_store import RedisAway
from mail_service.api.access import guard
from mail_service.api.health import MailCollector, health_blueprint, metrics_blueprint
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
    if settings.trusted_proxies:
        count = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]
    registry = CollectorRegistry()
    registry.register(MailCollector(parts.database, parts.queue))
    _identify_requests(app)
    time_requests(app, registry)
    _hold_database(app, parts.database)
    guard(app)

    app.register_blueprint(health_blueprint(parts.checks(settings)))
    app.register_blueprint(metrics_blueprint(registry))
    app.register_blueprint(messages_blueprint(parts.operations(), parts.queue))
    app.register_blueprint(people_blueprint(parts.personal_data(settings), parts.people))
    app.register_blueprint(templates_blueprint(parts.templates))
    register_error_handlers(app)
    app.register_error_handler(peewee.OperationalError, _database_away)
    app.register_error_handler(peewee.InterfaceError, _database_away)
    app.register_error_handler(RedisAway, _queue_away)
    return app


def _identify_requests(app: Flask) -> None:
    def begin() -> None:
        request_id.set(accepted_request_id(request.headers.get("X-Request-ID")))
        g.arrived = time.perf_counter()

    def end(response: Response) -> Response:
        response.headers["X-Request-ID"] = current_request_id()
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Cache-Control", "no-store")
        level = logging.DEBUG if (request.endpoint or "").startswith(("health.", "metrics.")) else logging.INFO
        logger.log(
            level,
            "request",
            extra={
                "method": request.method,
                "route": request.url_rule.rule if request.url_rule else None,
                "status": response.status_code,
                "milliseconds": round((time.perf_counter() - g.arrived) * 1000, 1),
            },
        )
        return response

    app.before_request(begin)
    app.after_request(end)


def _hold_database(app: Flask, database: peewee.Database) -> None:
    def connect() -> None:
        if request.endpoint not in (None, "health.alive", "health.ready"):
            database.connect(reuse_if_open=True)

    def close(_: BaseException | None) -> None:
        if not database.is_closed():
            database.close()

    app.before_request(connect)
    app.teardown_request(close)


def _database_away(error: Exception) -> Response:
    logger.error("database away", exc_info=error)
    return error_response(ServiceError(503, "database_unavailable", "The database does not answer.", retry_after=5))


def _queue_away(away: RedisAway) -> Response:
    logger.warning("queue away", extra={"reason": away.reason})
    return error_response(ServiceError(503, "queue_unavailable", "Redis does not answer.", retry_after=5))
