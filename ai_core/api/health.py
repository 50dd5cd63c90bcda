"""/health, /health/ready and /metrics: whether the process lives, whether it can answer, and its figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict

from flask import Response
from prometheus_client import CollectorRegistry

from ai_core.api.access import SECURITY, requires
from ai_core.api.blueprint import Blueprint
from ai_core.api.documented import KEYED, errors
from ai_core.api.health_schemas import HealthSchema, MetricsSchema, ReadinessSchema
from ai_core.model_host import ModelHost
from common.health import Check
from common.health_routes import readiness_response
from common.metrics import exposition


def health_blueprint(checks: Mapping[str, Callable[[], Check]], host: ModelHost) -> Blueprint:
    """Public routes: what they tell holds no secret and nobody's text."""
    blueprint = Blueprint("health", __name__, description="State of the service")

    @blueprint.route("/health", methods=["GET"])
    @errors(blueprint, 500)
    @blueprint.response(200, HealthSchema)
    def alive() -> dict[str, str]:
        """The process lives"""
        return {"status": "ok"}

    @blueprint.route("/health/ready", methods=["GET"])
    @errors(blueprint, 500)
    @blueprint.alt_response(503, schema=ReadinessSchema, description="It cannot answer now", success=False)
    @blueprint.response(200, ReadinessSchema)
    def ready() -> Response:
        """Whether questions can be answered, part by part"""
        model = host.current_or_none()
        return readiness_response(checks, **({} if model is None else {"engine": asdict(model.engine.stats())}))

    return blueprint


def metrics_blueprint(registry: CollectorRegistry) -> Blueprint:
    """/metrics in Prometheus' text format, or as JSON."""
    blueprint = Blueprint("metrics", __name__, description="Figures for Prometheus")

    @blueprint.route("/metrics", methods=["GET"])
    @requires("metrics", "admin")
    @errors(blueprint, *KEYED)
    @blueprint.doc(security=SECURITY)
    @blueprint.alt_response(
        200, schema=MetricsSchema, content_type="application/json", description="The same figures", success=True
    )
    @blueprint.response(200, {"type": "string"}, content_type="text/plain", description="Prometheus text format")
    def metrics() -> Response:
        """Requests, latencies, tokens, slots, queue, errors, components

        Prometheus' text format, or, with `Accept: application/json`, the same figures as JSON.
        A key with the scope `metrics` opens this and nothing else; one with `admin` will do, too.
        """
        return exposition(registry)

    return blueprint
