"""/health, /health/ready and /metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict

from flask import Blueprint, Response, jsonify
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from common.health import Check, run_checks
from common.metrics import exposition
from common.redis_store import RedisAway
from telegram_service.mailbox import AGE_BUCKETS, Mailbox

COUNTERS = {
    "received": "Updates that came in.",
    "duplicates": "Updates that came in again.",
    "done": "Updates that were dealt with.",
    "later": "Times that an update had to wait for another attempt.",
    "reclaimed": "Updates taken from workers that died.",
    "given_back": "Updates given back by workers that were stopped.",
    "buried": "Updates that were given up.",
}


def health_blueprint(checks: Mapping[str, Callable[[], Check]]) -> Blueprint:
    """Public routes: what they tell holds no secret and nobody's text."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/health")
    def alive() -> Response:
        """The process lives"""
        return jsonify({"status": "ok"})

    @blueprint.get("/health/ready")
    def ready() -> Response:
        """Each part; 503 when no update can be taken in"""
        readiness = run_checks(checks)
        components = {name: asdict(check) for name, check in readiness.checks.items()}
        response = jsonify({"status": readiness.status, "components": components})
        if not readiness.serves:
            response.status_code = 503
            response.headers["Retry-After"] = "5"
        return response

    return blueprint


def metrics_blueprint(registry: CollectorRegistry) -> Blueprint:
    """/metrics for Prometheus."""
    blueprint = Blueprint("metrics", __name__)

    @blueprint.get("/metrics")
    def metrics() -> Response:
        """Queue, times, people, messages, models, errors"""
        return exposition(registry)

    return blueprint


class QueueCollector(Collector):
    """The queue's figures, of all processes, at the moment of the scrape."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def collect(self) -> Iterable[Metric]:
        """Nothing while Redis is away: the scrape says so by what is missing."""
        try:
            lengths, figures = self._mailbox.lengths(), self._mailbox.figures()
        except RedisAway:
            return
        for name, text in COUNTERS.items():
            yield CounterMetricFamily(f"telegram_updates_{name}", text, value=figures.get(name, 0))
        yield _ages(figures)
        queue = GaugeMetricFamily("telegram_queue_length", "Updates by where they are.", labels=("place",))
        for place in ("waiting", "working", "dead"):
            queue.add_metric((place,), lengths[place])
        yield queue
        yield GaugeMetricFamily(
            "telegram_queue_suspects", "Chats whose next update killed workers.", value=lengths["suspects"]
        )
        yield GaugeMetricFamily(
            "telegram_queue_oldest_seconds", "Age of what has been here longest.", value=lengths["oldest"]
        )


def _ages(figures: Mapping[str, int]) -> Metric:
    total, buckets = 0, []
    for bound, label in (*((bound, str(bound / 1000)) for bound in AGE_BUCKETS), ("inf", "+Inf")):
        total += figures.get(f"age_ms:{bound}", 0)
        buckets.append((label, total))
    family = HistogramMetricFamily("telegram_update_seconds", "From arrival to the end of an update.")
    family.add_metric((), buckets, figures.get("age_ms:sum", 0) / 1000)
    return family
