"""/models/{model_id}/parameters: what applies to a model's answers unless a request asks for something else."""

from __future__ import annotations

import json
from typing import Any

from ai_core.api import examples
from ai_core.api.access import SECURITY, current_key, requires
from ai_core.api.audit import audit_target
from ai_core.api.blueprint import Blueprint
from ai_core.api.documented import KEYED, WITH_BODY, errors
from ai_core.api.model_schemas import ModelParametersSchema, ParametersHistorySchema, StoredParametersSchema
from ai_core.api.models import MODEL_ID
from ai_core.catalog.registry import Registry
from ai_core.model_host import ModelHost
from ai_core.model_parameters import ParameterStore, StoredParameters
from ai_core.parameters import sampling_for
from common.errors import InvalidFields, ServiceError

PARAMETERS = f"{MODEL_ID}/parameters"
SHOWN_CHANGES = 100


def parameters_blueprint(registry: Registry, host: ModelHost, store: ParameterStore) -> Blueprint:
    """Reading needs the scope `chat` or `models`, changing `models`."""
    blueprint = Blueprint("parameters", __name__, url_prefix="/api/v1/models", description="Generation parameters")

    def require_model(model_id: str) -> None:
        if registry.get(model_id) is None:
            raise ServiceError(404, "unknown_model", "There is no such model.", errors={"model_id": ["Unknown model."]})

    def shown(model_id: str, stored: StoredParameters) -> dict[str, Any]:
        defaults = store.defaults(model_id)
        return {
            "model_id": model_id,
            "parameters": {**defaults, **stored.changed},
            "updated_parameters": sorted(stored.changed),
            "default_parameters": defaults,
            "last_updated": stored.last_updated,
        }

    @blueprint.route(PARAMETERS, methods=["GET"])
    @requires("models", "chat")
    @errors(blueprint, *KEYED, 404)
    @blueprint.doc(security=SECURITY)
    @blueprint.response(200, ModelParametersSchema, example=examples.MODEL_PARAMETERS)
    def show(model_id: str) -> dict[str, Any]:
        """Show a model's parameters

        Those that were set, here or in models.json, apply to each answer of the model; a request's own come before
        them. Those at their default leave the word to the channel's profile.
        """
        require_model(model_id)
        return shown(model_id, store.stored(model_id))

    @blueprint.route(PARAMETERS, methods=["PUT"])
    @requires("models")
    @errors(blueprint, *KEYED, *WITH_BODY, 404)
    @blueprint.doc(security=SECURITY)
    @blueprint.arguments(StoredParametersSchema, example={"temperature": 0.3, "max_length": 800})
    @blueprint.response(200, ModelParametersSchema, example=examples.MODEL_PARAMETERS)
    def update(body: dict[str, Any], model_id: str) -> dict[str, Any]:
        """Set some of them; the others stay

        What the format of the loaded model cannot honour is refused by name.
        """
        audit_target(model_id)
        require_model(model_id)
        if not body:
            raise InvalidFields({"parameters": ["None is given."]})
        loaded = host.current_or_none()
        if loaded is not None and loaded.id == model_id:
            sampling_for("api", body, loaded.backend.info, model_format=loaded.form.format.value)
        return shown(model_id, store.update(model_id, body, actor=current_key().prefix))

    @blueprint.route(f"{PARAMETERS}/reset", methods=["POST"])
    @requires("models")
    @errors(blueprint, *KEYED, 404)
    @blueprint.doc(security=SECURITY)
    @blueprint.response(200, ModelParametersSchema, example=examples.MODEL_PARAMETERS)
    def reset(model_id: str) -> dict[str, Any]:
        """Back to the defaults"""
        audit_target(model_id)
        require_model(model_id)
        return shown(model_id, store.reset(model_id, actor=current_key().prefix))

    @blueprint.route(f"{PARAMETERS}/history", methods=["GET"])
    @requires("models", "chat")
    @errors(blueprint, *KEYED, 404)
    @blueprint.doc(security=SECURITY)
    @blueprint.response(200, ParametersHistorySchema)
    def history(model_id: str) -> dict[str, Any]:
        """The last changes, the newest first"""
        require_model(model_id)
        changes = store.history(model_id, limit=SHOWN_CHANGES)
        told = [
            {"at": change.at, "actor": change.actor, "parameters": json.loads(change.parameters)} for change in changes
        ]
        return {"model_id": model_id, "changes": told}

    return blueprint
