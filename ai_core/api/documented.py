"""How views document the errors they share, so that /openapi.json names every status that a client can meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from marshmallow import Schema

from ai_core.api.blueprint import Blueprint
from ai_core.api.schemas import ErrorSchema

DESCRIPTIONS = {
    400: "The address holds a NUL, or the body is not valid JSON",
    401: "No valid key",
    403: "The key lacks the scope",
    404: "Not found",
    409: "Not possible in the present state",
    413: "The body is too large",
    414: "The address is too long",
    415: "The body is not JSON",
    422: "Fields are invalid; each is named",
    429: "Too many requests; Retry-After says how long to wait",
    500: "Unexpected error",
    503: "Loading or at capacity; Retry-After says how long to wait",
}
ALWAYS = (400,)  # common.flask_service.refuse_nul
KEYED = (401, 403, 429, 500)
WITH_BODY = (413, 415, 422)
RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}}


def errors(
    blueprint: Blueprint, *statuses: int, schema: type[Schema] = ErrorSchema
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Document that a view can answer with these error statuses, in the one error shape, or that of `schema`."""

    def declare(view: Callable[..., Any]) -> Callable[..., Any]:
        for status in sorted({*ALWAYS, *statuses}, reverse=True):
            view = blueprint.alt_response(
                status,
                schema=schema,
                description=DESCRIPTIONS[status],
                headers=RETRY_AFTER if status in (429, 503) else None,
                success=False,
            )(view)
        return view

    return declare
