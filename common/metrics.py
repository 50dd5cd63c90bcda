"""Prometheus metrics of a service: how many requests, how they ended, how long they took, what its process takes."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flask import Flask, Response, g, jsonify, request
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from common.health import Check, Status, run_checks

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 45, 60)  # seconds


def time_requests(app: Flask, registry: CollectorRegistry) -> None:
    """Count and time every request of `app` by method, route and status."""
    requests = Counter("http_requests_total", "Requests by outcome.", ("method", "route", "status"), registry=registry)
    seconds = Histogram(
        "http_request_duration_seconds",
        "Time to the last byte for whole answers, to the first for streams.",
        ("method", "route"),
        registry=registry,
        buckets=BUCKETS,
    )

    def begin() -> None:
        g.started = time.perf_counter()

    def end(response: Response) -> Response:
        # The route's pattern, never the path: paths come from outside and would make labels without end.
        route = request.url_rule.rule if request.url_rule else "none"
        method = request.method if request.url_rule else "none"
        requests.labels(method, route, str(response.status_code)).inc()
        seconds.labels(method, route).observe(time.perf_counter() - g.started)
        return response

    app.before_request(begin)
    app.after_request(end)


class ErrorCounter:
    """Errors by the code that clients are told."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._errors = Counter("service_errors_total", "Errors by their code.", ("code",), registry=registry)

    def watch(self, app: Flask) -> None:
        """Count the errors among the answers of `app`."""

        def end(response: Response) -> Response:
            if response.status_code >= 400:
                self.count(error_code(response))
            return response

        app.after_request(end)

    def count(self, code: str) -> None:
        """Count one that no status shows, as in a stream."""
        self._errors.labels(code).inc()


def error_code(response: Response) -> str:
    """The `code` of an error in our JSON shape or in OpenAI's; the status where it has none."""
    body = response.get_json(silent=True) if response.is_json else None
    shape = body.get("error", body) if isinstance(body, dict) else None
    code = shape.get("code") if isinstance(shape, dict) else None
    return code if isinstance(code, str) else str(response.status_code)


class ComponentCollector(Collector):
    """component_up: 1 while a part serves, also where it is degraded; looked at when the figures are asked for."""

    def __init__(self, checks: Mapping[str, Callable[[], Check]]) -> None:
        self._checks = checks

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("component_up", "Whether a part of the service works.", labels=("component",))
        for name, check in run_checks(self._checks).checks.items():
            up.add_metric((name,), float(check.status is not Status.DOWN))
        yield up

    def describe(self) -> Iterable[Metric]:
        """Its name, without a look: registering must not run the checks."""
        return [GaugeMetricFamily("component_up", "", labels=("component",))]


class ThreadCollector(Collector):
    """process_threads, which prometheus_client's own ProcessCollector leaves out."""

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("process_threads", "Threads of Python.", value=threading.active_count())


def watch_process(registry: CollectorRegistry) -> None:
    """Memory, processor time, file descriptors (process_*) and threads of this process."""
    ProcessCollector(registry=registry)
    registry.register(ThreadCollector())


def exposition(registry: CollectorRegistry) -> Response:
    """The metrics in Prometheus' text format, or, for `Accept: application/json`, the same as JSON."""
    if request.accept_mimetypes.best_match(("text/plain", "application/json")) == "application/json":
        return jsonify({"metrics": [_as_json(metric) for metric in registry.collect()]})
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _as_json(metric: Metric) -> dict[str, Any]:
    samples = [
        {"name": sample.name, "labels": sample.labels, "value": _number(sample.value)} for sample in metric.samples
    ]
    return {"name": metric.name, "type": metric.type, "help": metric.documentation, "samples": samples}


def _number(value: float) -> float | str:
    """JSON has no infinity and no NaN: those are written as Prometheus does."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
