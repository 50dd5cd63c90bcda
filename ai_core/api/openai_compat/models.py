"""GET /v1/models and /v1/models/{model}: what can be asked right now."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from marshmallow import Schema, fields, validate

from ai_core.api.access import SECURITY, requires
from ai_core.api.openai_compat import examples
from ai_core.api.openai_compat.blueprint import OpenAiBlueprint
from ai_core.api.openai_compat.errors import documented
from ai_core.api.openai_compat.model_names import with_grounded
from ai_core.model_host import ModelHost
from ai_core.model_state import ModelStatus
from common.errors import ServiceError

OWNED_BY = "code-du-travail-neo"


class OpenAiModelSchema(Schema):
    """A model."""

    id = fields.String(required=True)
    object = fields.String(required=True, validate=validate.Equal("model"))
    created = fields.Integer(required=True, metadata={"description": "Since when it can be asked, since 1970 in s."})
    owned_by = fields.String(required=True)


class OpenAiModelListSchema(Schema):
    """Models."""

    object = fields.String(required=True, validate=validate.Equal("list"))
    data = fields.List(fields.Nested(OpenAiModelSchema), required=True)


def models_blueprint(host: ModelHost, others: Sequence[str]) -> OpenAiBlueprint:
    """The routes over the model that serves, and `others` that are always there."""
    blueprint = OpenAiBlueprint("models", __name__)
    started = int(time.time())

    def models() -> Iterator[dict[str, Any]]:
        loaded = host.current_or_none()
        if loaded is not None:
            since = host.states.get(loaded.id).loaded_at
            names = [loaded.id, *(f"{loaded.id}+{adapter}" for adapter in loaded.entry.adapters)]
            for name in with_grounded(names):
                yield _model(name, started if since is None else int(since.timestamp()))
        elif host.operating_on is not None and host.states.get(host.operating_on).status is ModelStatus.LOADING:
            for name in with_grounded([host.operating_on]):  # who asks it is told when to come back
                yield _model(name, started)
        for name in others:
            yield _model(name, started)

    @blueprint.route("/models", methods=["GET"])
    @requires("chat")
    @documented(blueprint)
    @blueprint.doc(security=SECURITY)
    @blueprint.response(200, OpenAiModelListSchema, example=examples.MODELS)
    def list_all() -> dict[str, Any]:
        """List the models that can be asked now

        The one that is loaded or being loaded, with each of its adapters; `MODEL:grounded` is the same one, with the
        Code du travail searched first. GET /api/v1/models has all that the server knows.
        """
        return {"object": "list", "data": list(models())}

    @blueprint.route("/models/<path:model>", methods=["GET"])
    @requires("chat")
    @documented(blueprint, 404)
    @blueprint.doc(security=SECURITY)
    @blueprint.response(200, OpenAiModelSchema, example=examples.MODELS["data"][0])
    def show(model: str) -> dict[str, Any]:
        """Show one of them"""
        for found in models():
            if found["id"] == model:
                return found
        message = "There is no such model, or it is not loaded."
        raise ServiceError(404, "unknown_model", message, errors={"model": ["Unknown model."]})

    return blueprint


def _model(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": OWNED_BY}
