"""Who may call what: a key for every route that is not on the public list; an address that guesses is locked out."""

from __future__ import annotations

import logging

from flask import Flask, g, request

from common.auth import key_from_headers
from common.errors import ServiceError
from common.rate_limit import SlidingWindow
from mail_service.keys import KeyRecord, verify_key
from mail_service.storage import AuditEntry

logger = logging.getLogger(__name__)

PUBLIC_ENDPOINTS = frozenset({"health.alive", "health.ready"})
FAILURES_PER_MINUTE = 20


def guard(app: Flask) -> None:
    """Check every request to `app` before its view runs."""
    failures = SlidingWindow(FAILURES_PER_MINUTE)

    def check() -> None:
        if request.endpoint is None or request.endpoint in PUBLIC_ENDPOINTS:
            return
        address = request.remote_addr or ""
        verdict = failures.look(address)
        if not verdict.allowed:
            raise ServiceError(429, "rate_limited", "Too many failed authentications.", retry_after=verdict.reset_after)
        key = verify_key(key_from_headers(request.headers))
        if key is None:
            failures.hit(address)
            logger.info("key refused")
            raise ServiceError(401, "unauthorized", "A valid key is needed: X-API-Key or Authorization: Bearer.")
        g.key = key

    app.before_request(check)


def audit(action: str, target: str, outcome: str = "done") -> None:
    """Note what the bearer of the request's key did."""
    key: KeyRecord = g.key
    AuditEntry.create(
        actor=key.prefix, action=action, target=target, address=request.remote_addr or "", outcome=outcome
    )
