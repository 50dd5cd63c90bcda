"""/models: which there are; load, unload, switch, remove."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from werkzeug.routing import BaseConverter

from ai_core.api import examples
from ai_core.api.access import SECURITY, requires
from ai_core.api.audit import audit_target
from ai_core.api.blueprint import Blueprint
from ai_core.api.documented import KEYED, WITH_BODY, errors
from ai_core.api.model_schemas import (
    LoadedSchema,
    ModelIdSchema,
    ModelListSchema,
    ModelSchema,
    RemovedSchema,
    UnloadedSchema,
)
from ai_core.catalog.declaration import RESERVED
from ai_core.catalog.entry import ModelEntry
from ai_core.catalog.registry import Registry, RegistryError
from ai_core.catalog.stored_weights import disk_bytes
from ai_core.model_host import ModelHost, Outcome
from ai_core.model_list import Downloading, ModelFacts, ModelList
from ai_core.model_parameters import ParameterStore
from ai_core.model_state import ModelStatus
from common.errors import ServiceError

MODEL_ID = "/<model:model_id>"


class ModelIdConverter(BaseConverter):
    """A model's id in a route; not the names of the routes beside it, or Allow would tell of methods they lack."""

    regex = rf"(?!(?:{'|'.join(sorted(RESERVED))})(?:/|$))[^/]{{1,100}}"


def models_blueprint(
    registry: Registry, host: ModelHost, parameters: ParameterStore, downloading: Downloading
) -> Blueprint:
    """Listing needs the scope `models` or `chat`, changes the scope `models`."""
    blueprint = Blueprint("models", __name__, url_prefix="/api/v1/models", description="Models")
    blueprint.record(lambda state: state.app.url_map.converters.update(model=ModelIdConverter))
    models = ModelList(registry, host, downloading)

    @blueprint.route("", methods=["GET"])
    @requires("models", "chat")
    @errors(blueprint, *KEYED)
    @blueprint.doc(security=SECURITY)
    @blueprint.response(200, ModelListSchema, example={"models": [examples.MODEL], "problems": {}})
    def list_all() -> dict[str, Any]:
        """List the models: of models.json, of the settings, and those fetched from the Hub"""
        return {
            "models": [_shown(facts, parameters) for facts in models.all()],
            "problems": registry.problems(),
        }

    @blueprint.route(MODEL_ID, methods=["GET"])
    @requires("models", "chat")
    @errors(blueprint, *KEYED, 404)
    @blueprint.doc(security=SECURITY)
    @blueprint.response(200, ModelSchema, example=examples.MODEL)
    def show(model_id: str) -> dict[str, Any]:
        """Show one of them"""
        return _shown(_known(models.get(model_id)), parameters)

    def load(model_id: str) -> dict[str, Any]:
        audit_target(model_id)
        outcome = host.load(_loadable(registry, model_id))
        return _outcome(outcome, "loaded", "is loaded" if outcome.changed else "was loaded already")

    def unload(model_id: str) -> dict[str, Any]:
        audit_target(model_id)
        _known(models.get(model_id))
        outcome = host.unload(model_id)
        return _outcome(outcome, "unloaded", "is unloaded" if outcome.changed else "was not loaded")

    @blueprint.route(f"{MODEL_ID}/load", methods=["POST"])
    @requires("models")
    @errors(blueprint, *KEYED, 404, 409, 503)
    @blueprint.doc(security=SECURITY)
    @blueprint.response(200, LoadedSchema, example=examples.LOADED)
    def load_named(model_id: str) -> dict[str, Any]:
        """Load a model; the one that serves is unloaded

        Answers that run are finished first, within MODEL_SWITCH_GRACE seconds. A model that cannot be loaded leaves
        the one before it serving.
        """
        return load(model_id)

    @blueprint.route("/load", methods=["POST"])
    @requires("models")
    @errors(blueprint, *KEYED, *WITH_BODY, 404, 409, 503)
    @blueprint.doc(security=SECURITY)
    @blueprint.arguments(ModelIdSchema, example=examples.MODEL_ID)
    @blueprint.response(200, LoadedSchema, example=examples.LOADED)
    def load_given(body: dict[str, Any]) -> dict[str, Any]:
        """The same, with the model in the body"""
        return load(body["model_id"])

    @blueprint.route(f"{MODEL_ID}/unload", methods=["POST"])
    @requires("models")
    @errors(blueprint, *KEYED, 404, 409, 503)
    @blueprint.doc(security=SECURITY)
    @blueprint.response(200, UnloadedSchema, example=examples.UNLOADED)
    def unload_named(model_id: str) -> dict[str, Any]:
        """Take a model out of memory; nothing is answered until one is loaded"""
        return unload(model_id)

    @blueprint.route("/unload", methods=["POST"])
    @requires("models")
    @errors(blueprint, *KEYED, *WITH_BODY, 404, 409, 503)
    @blueprint.doc(security=SECURITY)
    @blueprint.arguments(ModelIdSchema, example=examples.MODEL_ID)
    @blueprint.response(200, UnloadedSchema, example=examples.UNLOADED)
    def unload_given(body: dict[str, Any]) -> dict[str, Any]:
        """The same, with the model in the body"""
        return unload(body["model_id"])

    @blueprint.route(MODEL_ID, methods=["DELETE"])
    @requires("models")
    @errors(blueprint, *KEYED, 404, 409)
    @blueprint.doc(security=SECURITY)
    @blueprint.response(200, RemovedSchema, example=examples.REMOVED)
    def remove(model_id: str) -> dict[str, Any]:
        """Remove a model's files

        Only of what was fetched to the server's own folder: files that an operator put elsewhere are left to the
        operator. A model that is loaded, or just being loaded, is refused.
        """
        audit_target(model_id)
        facts = _known(models.get(model_id))
        if facts.status in (ModelStatus.LOADED, ModelStatus.LOADING) or host.operating_on == model_id:
            raise ServiceError(409, "model_loaded", f"{model_id} is in use; unload it first.")
        freed = _remove_files(registry, model_id)
        return {"status": "removed", "message": f"{model_id} is removed.", "model_id": model_id, "space_freed": freed}

    return blueprint


def _shown(facts: ModelFacts, parameters: ParameterStore) -> dict[str, Any]:
    changed = parameters.stored(facts.id).changed
    return {
        **asdict(facts),
        "name": facts.id,
        "status": facts.status.value,
        "parameters": {**parameters.defaults(facts.id), **changed},
    }


def _known(facts: ModelFacts | None) -> ModelFacts:
    if facts is None:
        raise _unknown()
    return facts


def _unknown() -> ServiceError:
    return ServiceError(404, "unknown_model", "There is no such model.", errors={"model_id": ["Unknown model."]})


def _loadable(registry: Registry, model_id: str) -> ModelEntry:
    declaration = registry.get(model_id)
    if declaration is None:
        raise _unknown()
    if declaration.entry is None:
        raise ServiceError(409, "model_unusable", f"{model_id} cannot be loaded: {declaration.problem}.")
    return declaration.entry


def _outcome(outcome: Outcome, status: str, words: str) -> dict[str, Any]:
    at = outcome.state.loaded_at if status == "loaded" else outcome.state.unloaded_at
    return {
        "status": status,
        "message": f"{outcome.model_id} {words}.",
        "model_id": outcome.model_id,
        f"{status}_at": at,
    }


def _remove_files(registry: Registry, model_id: str) -> int:
    declaration = registry.get(model_id)
    path = declaration.entry.path if declaration is not None and declaration.entry is not None else None
    path = path or registry.models / model_id  # what lies there may be broken: a reason to remove it
    if not registry.owns(path) or not path.exists():
        raise ServiceError(409, "not_removable", f"The files of {model_id} are not in this server's own folder.")
    whole = _whole(path, registry.models)
    shared = [one.id for one in registry.all().values() if one.id != model_id and _uses(one.entry, whole)]
    if shared:
        raise ServiceError(409, "model_in_use", f"{', '.join(shared)} needs the files of {model_id}.")
    freed = disk_bytes(whole)
    try:
        registry.remove(model_id)
    except RegistryError as error:
        raise ServiceError(409, "registry_broken", f"{error}.") from error
    shutil.rmtree(whole) if whole.is_dir() else whole.unlink()
    return freed


def _whole(path: Path, models: Path) -> Path:
    """What lies directly in the folder of models: the folder that a file came with goes with it."""
    return models.resolve() / path.resolve().relative_to(models.resolve()).parts[0]


def _uses(entry: ModelEntry | None, folder: Path) -> bool:
    paths = [] if entry is None else [*([entry.path] if entry.path else []), *entry.adapters.values()]
    return any(folder == path.resolve() or folder in path.resolve().parents for path in paths)
