"""/health, /health/ready and /metrics: whether the process lives, whether it can answer, and its figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from flask import Response, jsonify
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from ai_core.api.access import SECURITY, requires
from ai_core.api.blueprint import Blueprint
from ai_core.api.documented import KEYED, errors
from ai_core.api.health_schemas import HealthSchema, ReadinessSchema
from ai_core.model_host import ModelHost
from common.health import Check, run_checks
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
        readiness = run_checks(checks)
        body: dict[str, Any] = {
            "status": readiness.status,
            "components": {name: asdict(check) for name, check in readiness.checks.items()},
        }
        model = host.current_or_none()
        if model is not None:
            body["engine"] = asdict(model.engine.stats())
        response = jsonify(body)
        response.status_code = 200 if readiness.serves else 503
        if not readiness.serves:
            response.headers["Retry-After"] = "5"
        return response

    return blueprint


def metrics_blueprint(registry: CollectorRegistry) -> Blueprint:
    """/metrics in Prometheus' text format."""
    blueprint = Blueprint("metrics", __name__, description="Figures for Prometheus")

    @blueprint.route("/metrics", methods=["GET"])
    @requires("admin")
    @errors(blueprint, *KEYED)
    @blueprint.doc(security=SECURITY)
    @blueprint.response(200, {"type": "string"}, content_type="text/plain", description="Prometheus text format")
    def metrics() -> Response:
        """Requests, latencies, tokens, slots, queue"""
        return exposition(registry)

    return blueprint


class EngineCollector(Collector):
    """The engine's figures, read at the moment of the scrape. Names mirror llama.cpp's server where it has one."""

    def __init__(self, host: ModelHost) -> None:
        self._host = host

    def collect(self) -> Iterable[Metric]:
        """Metrics of the engine, none while no model is loaded."""
        model = self._host.current_or_none()
        if model is None:
            return
        stats = model.engine.stats()
        loaded = InfoMetricFamily("ai_core_model", "The model that serves.")
        loaded.add_metric((), {"model": model.id, "format": model.form.format.value})
        yield loaded
        yield GaugeMetricFamily("ai_core_requests_processing", "Requests in a slot.", value=stats.slots_busy)
        yield GaugeMetricFamily("ai_core_requests_deferred", "Requests that wait for a slot.", value=stats.waiting)
        yield GaugeMetricFamily("ai_core_slots", "Slots there are.", value=stats.slots_total)
        yield GaugeMetricFamily("ai_core_kv_cache_tokens", "KV cells in use.", value=stats.kv_cells_used)
        used = stats.kv_cells_used / stats.kv_cells_total if stats.kv_cells_total else 0.0
        yield GaugeMetricFamily("ai_core_kv_cache_usage_ratio", "Part of the KV cells in use, 0 to 1.", value=used)
        yield GaugeMetricFamily("ai_core_kv_cache_size", "KV cells there are.", value=stats.kv_cells_total)
        yield CounterMetricFamily("ai_core_prompt_tokens", "Prompt tokens taken in.", value=stats.prompt_tokens_total)
        yield CounterMetricFamily("ai_core_tokens_predicted", "Tokens generated.", value=stats.completion_tokens_total)
        yield CounterMetricFamily(
            "ai_core_prompt_tokens_reused", "Prompt tokens shared instead of computed.", value=stats.reused_tokens_total
        )
        yield CounterMetricFamily("ai_core_steps", "Batches computed.", value=stats.steps_total)
        yield GaugeMetricFamily(
            "ai_core_seconds_since_last_step",
            "Time since the last batch; long while requests wait means a stalled engine.",
            value=stats.seconds_since_last_step,
        )
