"""Who may call what: a key and a scope for every route that is not on the public list, and limits on how often.

Routes are closed by default: an endpoint that declares no scope and is not public answers nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Flask, Response, current_app, g, request

from ai_core.keys import KeyRecord, KeyRefused, verify_key
from common.auth import key_from_headers
from common.errors import ServiceError
from common.networks import Network, client_of, is_inside
from common.rate_limit import SlidingWindow, Verdict
from common.redis_store import RedisAway, RedisStore

logger = logging.getLogger(__name__)

View = TypeVar("View", bound=Callable[..., Any])

PUBLIC_ENDPOINTS = frozenset(
    {
        "health.alive",
        "health.ready",
        "pages.admin",
        "pages.chat",
        "pages.docs",
        "pages.docs_asset",
        "pages.asset",
        "api-docs.openapi_json",
    }
)
SECURITY: list[dict[str, list[str]]] = [{"apiKey": []}, {"bearer": []}]


class Limits:
    """Requests a minute for a key, a person (by `hash_of` channel and id), everybody; failed authentications for an
    address. With a `store` all processes that use it count together."""

    def __init__(
        self,
        *,
        key: int,
        user: int,
        everybody: int,
        failures: int,
        hash_of: Callable[[str, str], str],
        store: RedisStore | None = None,
    ) -> None:
        self._key = SlidingWindow(key, store=store, name="key")
        self._user = SlidingWindow(user, store=store, name="user")
        self._everybody = SlidingWindow(everybody, store=store, name="everybody")
        self._failures = SlidingWindow(failures, store=store, name="failures")
        self._hash_of = hash_of

    def check_address(self, address: str) -> None:
        """Refuse an address that failed too often."""
        verdict = self._failures.look(client_of(address))
        if not verdict.allowed:
            raise _too_many("Too many failed authentications from this address.", verdict)

    def count_failure(self, address: str) -> None:
        """Note a failed authentication."""
        self._failures.hit(client_of(address))

    def count_request(self, key: KeyRecord) -> Verdict:
        """Count a request of `key`; its verdict goes into the RateLimit headers of the answer."""
        verdict = self._key.hit(key.prefix, limit=key.rate_limit_per_minute)
        if not verdict.allowed:
            g.rate_limit = verdict
            raise _too_many("Too many requests with this key.", verdict)
        everybody = self._everybody.hit("everybody")
        if not everybody.allowed:
            raise _too_many("Too many requests to this server.", everybody)
        return verdict

    def count_user(self, channel: str, user_id: str | None) -> None:
        """Count a question of one person, and note who asks (see answer_metrics)."""
        g.asked_by = (channel, user_id)
        if user_id:
            verdict = self._user.hit(self._hash_of(channel, user_id))
            if not verdict.allowed:
                raise _too_many("Too many questions from this person.", verdict)

    def forget(self, person: str) -> int:
        """Forget how often a person asked, by their hash; 1 where there was something. What Redis keeps of it ends by
        itself within a minute, should Redis be away."""
        known = self._user.look(person).remaining < self._user.limit
        try:
            self._user.forget(person)
        except RedisAway:
            logger.warning("a person's limit in Redis ends by itself")
        return int(known)


def _too_many(message: str, verdict: Verdict) -> ServiceError:
    return ServiceError(429, "rate_limited", message, retry_after=verdict.reset_after)


def requires(scope: str, *others: str) -> Callable[[View], View]:
    """Declare that a view needs a key with `scope`; one of the `others` will do, too."""

    def declare(view: View) -> View:
        view.required_scope = scope  # type: ignore[attr-defined]
        view.other_scopes = others  # type: ignore[attr-defined]
        return view

    return declare


def required_scope(app: Flask, endpoint: str) -> str | None:
    """The scope that the view of `endpoint` declares, or None."""
    return getattr(app.view_functions[endpoint], "required_scope", None)


def accepted_scopes(app: Flask, endpoint: str) -> frozenset[str]:
    """The scopes of which a key needs one; none where the view declares none."""
    scope = required_scope(app, endpoint)
    others: tuple[str, ...] = getattr(app.view_functions[endpoint], "other_scopes", ())
    return frozenset() if scope is None else frozenset({scope, *others})


@dataclass(frozen=True, slots=True)
class Networks:
    """Where requests may come from: all but health checks, and those that need the scope `admin`. Empty: anywhere."""

    allowed: tuple[Network, ...] = ()
    admin: tuple[Network, ...] = ()

    def check(self, endpoint: str, scope: str | None) -> None:
        """Raises ServiceError 403."""
        address = request.remote_addr or ""
        outside = self.allowed and not is_inside(address, self.allowed) and not endpoint.startswith("health.")
        if outside or (scope == "admin" and self.admin and not is_inside(address, self.admin)):
            raise ServiceError(403, "forbidden", "Requests from this address are not accepted.")


def guard(app: Flask, limits: Limits, networks: Networks) -> None:
    """Check every request to `app` before its view runs, and tell the client where its limit stands."""

    def check() -> None:
        endpoint = request.endpoint
        if endpoint is None:
            return  # no such route: the router's own 404 or 405 follows
        scope = required_scope(current_app, endpoint)
        networks.check(endpoint, scope)
        if endpoint in PUBLIC_ENDPOINTS:
            return
        g.key = _authenticate(limits)
        if accepted_scopes(current_app, endpoint).isdisjoint(g.key.scopes):
            raise ServiceError(403, "forbidden", f"This key lacks the scope {scope}.")
        g.rate_limit = limits.count_request(g.key)

    def tell(response: Response) -> Response:
        verdict: Verdict | None = g.get("rate_limit")
        if verdict is not None:
            response.headers["RateLimit-Limit"] = str(verdict.limit)
            response.headers["RateLimit-Remaining"] = str(verdict.remaining)
            response.headers["RateLimit-Reset"] = str(round(verdict.reset_after))
        return response

    app.before_request(check)
    app.after_request(tell)


def _authenticate(limits: Limits) -> KeyRecord:
    address = request.remote_addr or ""
    limits.check_address(address)
    text = key_from_headers(request.headers)
    try:
        if text is None:
            raise KeyRefused("missing")
        return verify_key(text, address)
    except KeyRefused as refused:
        limits.count_failure(address)
        logger.info("key refused", extra={"reason": refused.reason})
        raise ServiceError(
            401, "unauthorized", "A valid key is needed: X-API-Key: KEY or Authorization: Bearer KEY."
        ) from refused


def current_key() -> KeyRecord:
    """The key of the request being served."""
    key: KeyRecord = g.key
    return key
