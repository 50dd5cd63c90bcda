"""Liveness and readiness."""

from __future__ import annotations

from marshmallow import Schema, fields, validate


class HealthSchema(Schema):
    """The process lives."""

    status = fields.String(required=True, metadata={"example": "ok"})


class ComponentSchema(Schema):
    """One part of the service. `detail` is for the operator."""

    status = fields.String(required=True, validate=validate.OneOf(("ok", "degraded", "down")))
    detail = fields.String(required=True)


class ReadinessSchema(Schema):
    """Whether the service can answer, and each of its parts."""

    status = fields.String(required=True, validate=validate.OneOf(("ready", "degraded", "unavailable")))
    components = fields.Dict(keys=fields.String(), values=fields.Nested(ComponentSchema), required=True)
    engine = fields.Dict(keys=fields.String(), metadata={"description": "Slots, queue and KV cells in use."})
