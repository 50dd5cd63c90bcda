"""The Blueprint of the routes under /v1: what their schemas refuse is a 400."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NoReturn

from flask import Request
from marshmallow import Schema, ValidationError
from werkzeug.datastructures import CombinedMultiDict

from ai_core.api.blueprint import Blueprint, BodyParser
from ai_core.api.openai_compat.errors import PREFIX
from common.errors import InvalidFields


class OpenAiParser(BodyParser):
    """Says what is wrong in our own vocabulary. The fields of a form are read together with its files."""

    DEFAULT_VALIDATION_STATUS = HTTPStatus.BAD_REQUEST

    def handle_error(self, error: ValidationError, *_: Any, **__: Any) -> NoReturn:
        found: dict[str, Any] = {}
        locations: Any = error.messages  # webargs puts the place before the fields
        for location in locations.values():
            found.update(location if isinstance(location, Mapping) else {"body": location})
        raise InvalidFields({"body" if name == "_schema" else name: problem for name, problem in found.items()})

    def load_files(self, req: Request, schema: Schema) -> Any:
        return self._makeproxy(CombinedMultiDict([req.files, req.form]), schema)


class OpenAiBlueprint(Blueprint):
    """A blueprint under /v1."""

    ARGUMENTS_PARSER = OpenAiParser()

    def __init__(self, name: str, import_name: str) -> None:
        super().__init__(f"openai-{name}", import_name, url_prefix=PREFIX, description="For OpenAI's clients")
