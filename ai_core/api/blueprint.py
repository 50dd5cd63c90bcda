"""The Blueprint and Api that our routes use: flask-smorest's, with a reader that no body can bring down."""

from __future__ import annotations

from typing import Any

from flask import Request
from flask_smorest import Api as SmorestApi
from flask_smorest import Blueprint as SmorestBlueprint
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import BadRequest

from ai_core.api.schemas import ErrorSchema


class BodyParser(FlaskParser):
    """Answers 400 also to what Python's json reads but cannot hold: very deep nesting, very long integers."""

    def _raw_load_json(self, req: Request) -> Any:
        try:
            return super()._raw_load_json(req)
        except (RecursionError, ValueError) as error:
            raise BadRequest from error


class Blueprint(SmorestBlueprint):
    """A flask-smorest blueprint that reads bodies with BodyParser."""

    ARGUMENTS_PARSER = BodyParser()


class Api(SmorestApi):
    """A flask-smorest API whose routes document their own errors."""

    DEFAULT_ERROR_RESPONSE_NAME = None
    ERROR_SCHEMA = ErrorSchema
