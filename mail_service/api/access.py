"""Which routes need no key; what the bearer of a key did is noted."""

from __future__ import annotations

from flask import g, request

from common.key_book import KeyRecord
from mail_service.storage import AuditEntry

PUBLIC_ENDPOINTS = frozenset({"health.alive", "health.ready"})


def audit(action: str, target: str, outcome: str = "done") -> None:
    """Note what the bearer of the request's key did."""
    key: KeyRecord = g.key
    AuditEntry.create(
        actor=key.prefix, action=action, target=target, address=request.remote_addr or "", outcome=outcome
    )
