"""Which other sites' pages may call the API (Fetch standard, CORS protocol). None unless the operator says so."""

from __future__ import annotations

import re
from collections.abc import Collection

from flask import Flask, Response, make_response, request

EVERYBODY = "*"
PREFIXES = ("/api/", "/v1/")
METHODS = "GET, POST, PUT, DELETE"
REQUEST_HEADERS = ("Authorization", "Cache-Control", "Content-Type", "X-API-Key", "X-Request-ID")
OPENAI_CLIENT = re.compile(r"x-stainless-[a-z-]{1,40}", re.IGNORECASE)  # OpenAI's client tells about itself in these
EXPOSED = "RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, X-Request-ID"
KEPT_SECONDS = 600


def allow_origins(app: Flask, origins: Collection[str]) -> None:
    """Let pages of `origins` (scheme://host[:port], or `*`) call the API. Keys travel in a header that the page sets
    itself: credentials of the browser are never allowed. Call before `guard`: a preflight has no key."""
    if not origins:
        return

    def answer_preflight() -> Response | None:
        asked = request.headers.get("Access-Control-Request-Method")
        if request.method != "OPTIONS" or asked is None or not request.path.startswith(PREFIXES):
            return None
        response = make_response("", 204)
        if _allowed(origins) is not None:
            response.headers["Access-Control-Allow-Methods"] = METHODS
            response.headers["Access-Control-Allow-Headers"] = ", ".join([*REQUEST_HEADERS, *_openai_headers()])
            response.headers["Access-Control-Max-Age"] = str(KEPT_SECONDS)
        return response

    def tell(response: Response) -> Response:
        if not request.path.startswith(PREFIXES):
            return response
        response.vary.add("Origin")
        origin = _allowed(origins)
        if origin is not None:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = EXPOSED
        return response

    app.before_request(answer_preflight)
    app.after_request(tell)


def _allowed(origins: Collection[str]) -> str | None:
    """What the page that asks is told, None for one that may not."""
    origin = request.headers.get("Origin")
    if origin is None:
        return None
    if EVERYBODY in origins:
        return EVERYBODY
    return origin if origin in origins else None


def _openai_headers() -> list[str]:
    asked = request.headers.get("Access-Control-Request-Headers", "").split(",")
    return [name.strip() for name in asked[:50] if OPENAI_CLIENT.fullmatch(name.strip())]
