"""Errors in the shape of OpenAI's API, under /v1 only: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from flask import request
from marshmallow import Schema, fields

from ai_core.api.blueprint import Blueprint
from ai_core.api.documented import KEYED, errors
from ai_core.assistant import TooLong
from common.errors import InvalidFields, ServiceError, own_form

PREFIX = "/v1"
CODES = {  # where clients look for OpenAI's own
    "unauthorized": "invalid_api_key",
    "unknown_model": "model_not_found",
    "rate_limited": "rate_limit_exceeded",
}
CONTEXT_EXCEEDED = "context_length_exceeded"
TYPES: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}


class ProblemSchema(Schema):
    """What went wrong."""

    message = fields.String(required=True)
    type = fields.String(required=True, metadata={"example": "invalid_request_error"})
    param = fields.String(required=True, allow_none=True, metadata={"example": "temperature"})
    code = fields.String(required=True, allow_none=True, metadata={"example": "invalid_fields"})


class OpenAiErrorSchema(Schema):
    """Every error under /v1."""

    error = fields.Nested(ProblemSchema, required=True)


def error_form(error: ServiceError) -> tuple[int, dict[str, Any]]:
    """Status and body for the route that is being served: OpenAI's under /v1, our own elsewhere."""
    if request.path == PREFIX or request.path.startswith(f"{PREFIX}/"):
        return openai_form(error)
    return own_form(error)


def openai_form(error: ServiceError) -> tuple[int, dict[str, Any]]:
    """As OpenAI's API answers; what is wrong with a request is a 400 there, also where it can be read."""
    status = int(HTTPStatus.BAD_REQUEST) if error.status == HTTPStatus.UNPROCESSABLE_ENTITY else error.status
    problem = {
        "message": _message(error),
        "type": TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error"),
        "param": next(iter(error.errors), None) if error.errors else None,
        "code": CONTEXT_EXCEEDED if isinstance(error, TooLong) else CODES.get(error.code, error.code),
    }
    return status, {"error": problem}


def documented(blueprint: Blueprint, *statuses: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Document the errors of a view under /v1, those that every keyed route has included."""
    return errors(blueprint, *KEYED, *statuses, schema=OpenAiErrorSchema)


def renamed(error: InvalidFields, names: Mapping[str, str]) -> InvalidFields:
    """`error` with our names of fields replaced by the client's."""
    return type(error)({names.get(name, name): problem for name, problem in (error.errors or {}).items()})


def _message(error: ServiceError) -> str:
    """The one text that clients show: with what is wrong with each field."""
    if not isinstance(error, InvalidFields):
        return error.message
    return " ".join(f"{name}: {_said(problem)}" for name, problem in (error.errors or {}).items())


def _said(problem: Any) -> str:
    """Marshmallow nests problems as the request nests: `{0: {"role": ["Must be ..."]}}`."""
    if isinstance(problem, Mapping):
        return " ".join(f"{key}: {_said(value)}" for key, value in problem.items())
    if isinstance(problem, list):
        return " ".join(map(_said, problem))
    return str(problem)
