"""A key for every route that is not public, one for the figures alone where that is enough; an address that guesses is
locked out for a while."""

from __future__ import annotations

import logging
from collections.abc import Set

import peewee
from flask import Flask, g, request

from common.auth import key_from_headers
from common.database import connection
from common.errors import ServiceError
from common.key_book import KeyBook
from common.networks import client_of
from common.rate_limit import SlidingWindow

logger = logging.getLogger(__name__)

FAILURES_PER_MINUTE = 20
FIGURES = "metrics.metrics"  # the one endpoint that a key with the scope `metrics` opens


def guard(app: Flask, database: peewee.Database, book: KeyBook, public: Set[str]) -> None:
    """Check every request to `app` before its view runs, but for the endpoints in `public`; the key is in g.key."""
    failures = SlidingWindow(FAILURES_PER_MINUTE)

    def check() -> None:
        if request.endpoint is None or request.endpoint in public:
            return
        address = client_of(request.remote_addr or "")
        verdict = failures.look(address)
        if not verdict.allowed:
            raise ServiceError(429, "rate_limited", "Too many failed authentications.", retry_after=verdict.reset_after)
        with connection(database):
            key = book.verify(key_from_headers(request.headers))
        if key is None:
            failures.hit(address)
            logger.info("key refused")
            raise ServiceError(401, "unauthorized", "A valid key is needed: X-API-Key or Authorization: Bearer.")
        if key.scope != "admin" and request.endpoint != FIGURES:
            raise ServiceError(403, "forbidden", "This key is for the figures alone: it lacks the scope admin.")
        g.key = key

    app.before_request(check)
