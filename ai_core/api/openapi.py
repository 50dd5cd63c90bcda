"""Where /openapi.json stands and what its head says. Swagger UI is served by `pages`."""

from __future__ import annotations

from typing import Any

OPENAPI_CONFIG: dict[str, Any] = {
    "API_TITLE": "Code du Travail Neo",
    "API_VERSION": "v1",
    "OPENAPI_VERSION": "3.0.3",
    "OPENAPI_URL_PREFIX": "/",
    "OPENAPI_JSON_PATH": "openapi.json",
    "API_SPEC_OPTIONS": {
        "info": {
            "description": (
                "Questions on French labour law, answered with their sources. "
                "General information, not legal advice. "
                "Every route but /health needs a key: `X-API-Key: KEY` or `Authorization: Bearer KEY`."
            )
        },
        "components": {
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            }
        },
    },
}
