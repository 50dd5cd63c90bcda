"""/health, /health/ready and /metrics, as every service has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify
from prometheus_client import CollectorRegistry

from common.health import Check, run_checks
from common.metrics import exposition

RETRY_AFTER = "5"  # seconds


def health_blueprint(checks: Mapping[str, Callable[[], Check]]) -> Blueprint:
    """Public routes: what they tell holds no secret and nobody's text."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/health")
    def alive() -> Response:
        """The process lives"""
        return jsonify({"status": "ok"})

    @blueprint.get("/health/ready")
    def ready() -> Response:
        """Each part; 503 when nothing can be taken in"""
        return readiness_response(checks)

    return blueprint


def readiness_response(checks: Mapping[str, Callable[[], Check]], **more: Any) -> Response:
    """Every check with what they add up to, and `more` beside them; 503 where a part is down."""
    readiness = run_checks(checks)
    components = {name: asdict(check) for name, check in readiness.checks.items()}
    response = jsonify({"status": readiness.status, "components": components, **more})
    if not readiness.serves:
        response.status_code = 503
        response.headers["Retry-After"] = RETRY_AFTER
    return response


def metrics_blueprint(registry: CollectorRegistry) -> Blueprint:
    """/metrics for Prometheus; the application guards it with a key."""
    blueprint = Blueprint("metrics", __name__)

    @blueprint.get("/metrics")
    def metrics() -> Response:
        """The figures of all processes"""
        return exposition(registry)

    return blueprint
