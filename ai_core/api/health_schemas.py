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


class SampleSchema(Schema):
    """One figure. Infinity and NaN, which JSON lacks, are texts."""

    name = fields.String(required=True, metadata={"example": "http_requests_total"})
    labels = fields.Dict(required=True, keys=fields.String(), values=fields.String())
    value = fields.Raw(required=True, metadata={"example": 42})


class MetricSchema(Schema):
    """Figures that belong together."""

    name = fields.String(required=True)
    type = fields.String(required=True)
    help = fields.String(required=True)
    samples = fields.List(fields.Nested(SampleSchema), required=True)


class MetricsSchema(Schema):
    """What Prometheus would read."""

    metrics = fields.List(fields.Nested(MetricSchema), required=True)
