"""Models and their generation parameters, as they are asked for and shown."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from ai_core.api.schemas import Strict, UtcDateTime

STATUSES = ("available", "downloading", "loading", "loaded", "error")


class ModelIdSchema(Strict):
    """Which model."""

    model_id = fields.String(required=True, validate=validate.Length(1, 100))


class StoredParametersSchema(Strict):
    """Generation parameters of a model."""

    temperature = fields.Float(validate=validate.Range(0, 2))
    top_k = fields.Integer(strict=True, validate=validate.Range(1, 100))
    top_p = fields.Float(validate=validate.Range(0, 1))
    max_length = fields.Integer(strict=True, validate=validate.Range(1, 2048), metadata={"description": "New tokens."})
    repetition_penalty = fields.Float(
        validate=validate.Range(0, 2, min_inclusive=False), metadata={"exclusiveMinimum": True}
    )
    do_sample = fields.Boolean(truthy={True}, falsy={False})
    num_beams = fields.Integer(strict=True, validate=validate.Range(1, 10))
    length_penalty = fields.Float(validate=validate.Range(0, 2))
    early_stopping = fields.Boolean(truthy={True}, falsy={False})
    pad_token_id = fields.Integer(strict=True, allow_none=True, validate=validate.Range(0, 2_147_483_647))
    eos_token_id = fields.Integer(strict=True, allow_none=True, validate=validate.Range(0, 2_147_483_647))


class ModelSchema(Schema):
    """A model."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    description = fields.String(required=True)
    format = fields.String(required=True, allow_none=True)
    size = fields.Integer(required=True, allow_none=True, metadata={"description": "Bytes on the disk."})
    source = fields.String(required=True)
    quantisation = fields.String(required=True, allow_none=True)
    context_length = fields.Integer(required=True, allow_none=True, metadata={"description": "Tokens."})
    adapter_base = fields.String(required=True, allow_none=True)
    adapters = fields.List(fields.String(), required=True)
    requires_token = fields.Boolean(required=True)
    parameters = fields.Dict(keys=fields.String(), required=True)
    error = fields.String(required=True, allow_none=True)
    step = fields.String(required=True, allow_none=True, metadata={"description": "What a long load is at."})
    notes = fields.List(fields.String(), required=True)


class ModelListSchema(Schema):
    """Models, and what is wrong with models.json."""

    models = fields.List(fields.Nested(ModelSchema), required=True)
    problems = fields.Dict(keys=fields.String(), values=fields.String(), required=True)


class LoadedSchema(Schema):
    """After a load."""

    status = fields.String(required=True)
    message = fields.String(required=True)
    model_id = fields.String(required=True)
    loaded_at = UtcDateTime(required=True, allow_none=True)


class UnloadedSchema(Schema):
    """After an unload."""

    status = fields.String(required=True)
    message = fields.String(required=True)
    model_id = fields.String(required=True)
    unloaded_at = UtcDateTime(required=True, allow_none=True)


class RemovedSchema(Schema):
    """After a removal."""

    status = fields.String(required=True)
    message = fields.String(required=True)
    model_id = fields.String(required=True)
    space_freed = fields.Integer(required=True, metadata={"description": "Bytes."})


class ModelParametersSchema(Schema):
    """The parameters that apply, those that were set, and those that would apply without them."""

    model_id = fields.String(required=True)
    parameters = fields.Dict(keys=fields.String(), required=True)
    updated_parameters = fields.List(fields.String(), required=True)
    default_parameters = fields.Dict(keys=fields.String(), required=True)
    last_updated = UtcDateTime(required=True, allow_none=True)


class ParametersChangeSchema(Schema):
    """One change, by the beginning of the key that made it."""

    at = UtcDateTime(required=True)
    actor = fields.String(required=True)
    parameters = fields.Dict(keys=fields.String(), required=True)


class ParametersHistorySchema(Schema):
    """Changes, the newest first."""

    model_id = fields.String(required=True)
    changes = fields.List(fields.Nested(ParametersChangeSchema), required=True)
