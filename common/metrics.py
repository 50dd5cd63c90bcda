"""Prometheus metrics of a service: how many requests, how they ended, how long they took."""

from __future__ import annotations

import time

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

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


def exposition(registry: CollectorRegistry) -> Response:
    """The metrics in Prometheus' text format."""
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
