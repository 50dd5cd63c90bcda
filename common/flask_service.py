"""What the Flask applications of all services do with every request: an id, a log line, a database connection."""

from __future__ import annotations

import logging
import time

import peewee
from flask import Flask, Response, g, request
from werkzeug.middleware.proxy_fix import ProxyFix

from common.errors import ServiceError, error_response
from common.log import accepted_request_id, current_request_id, request_id

logger = logging.getLogger(__name__)

PROBES = ("health.", "metrics.")


def behind_proxies(app: Flask, count: int) -> None:
    """Believe what the last `count` proxies say of the client (X-Forwarded-For, -Proto, -Host)."""
    if count:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]


def identify_requests(app: Flask) -> None:
    """Give each request an id and a log line: its route, since path and query may hold what a person wrote."""

    def begin() -> None:
        request_id.set(accepted_request_id(request.headers.get("X-Request-ID")))
        g.arrived = time.perf_counter()

    def end(response: Response) -> Response:
        response.headers["X-Request-ID"] = current_request_id()
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Cache-Control", "no-store")  # answers belong to whoever asked
        # Probes come every few seconds and say nothing new.
        level = logging.DEBUG if (request.endpoint or "").startswith(PROBES) else logging.INFO
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


def refuse_nul(app: Flask) -> None:
    """A path or query with a NUL names nothing of ours: neither PostgreSQL nor a file system can hold it. Call after
    what measures requests, which has to see them all."""

    def check() -> None:
        if "\x00" in request.path or b"%00" in request.query_string:
            raise ServiceError(400, "malformed_request", "The address of the request holds a NUL.")

    app.before_request(check)


def hold_database(app: Flask, database: peewee.Database) -> None:
    """Hold one connection during each request. While the database is away, views that need it get a 503."""

    def connect() -> None:
        if request.endpoint is not None and request.endpoint != "health.alive":
            try:
                database.connect(reuse_if_open=True)
            except (peewee.OperationalError, peewee.InterfaceError):
                # Some requests can be answered without it; a view that needs it tries again.
                logger.warning("database away", extra={"route": request.endpoint})

    def close(_: BaseException | None) -> None:
        if not database.is_closed():
            database.close()

    app.before_request(connect)
    app.teardown_request(close)
    app.register_error_handler(peewee.OperationalError, _database_away)
    app.register_error_handler(peewee.InterfaceError, _database_away)


def _database_away(error: Exception) -> Response:
    logger.error("database away", exc_info=error)
    return error_response(ServiceError(503, "database_unavailable", "The database does not answer.", retry_after=5))
