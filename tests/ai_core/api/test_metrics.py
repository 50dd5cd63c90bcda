"""/metrics: the same figures as Prometheus' text and as JSON, and what they mean; /health/ready."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ai_core.api.access import PUBLIC_ENDPOINTS
from tests.fakes import Core, build_core

Figures = dict[tuple[str, tuple[tuple[str, str], ...]], Any]


def as_text(core: Core) -> Figures:
    response = core.app.test_client().get("/metrics", headers=core.headers("admin"))
    assert response.content_type.startswith("text/plain")
    families = text_string_to_metric_families(response.get_data(as_text=True))
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def as_json(core: Core, accept: str = "application/json") -> Figures:
    headers = {**core.headers("admin"), "Accept": accept}
    body = core.app.test_client().get("/metrics", headers=headers).get_json()
    return {
        (sample["name"], tuple(sorted(sample["labels"].items()))): sample["value"]
        for metric in body["metrics"]
        for sample in metric["samples"]
    }


def ask(core: Core, **body: object) -> int:
    question = {"message": "Quel préavis ?", **body}
    response = core.app.test_client().post("/api/v1/chat", json=question, headers=core.headers("chat"))
    response.get_data()
    return response.status_code


def test_both_forms_hold_the_same_figures(core: Core) -> None:
    ask(core)
    changes = ("http_request", "process_", "_created", "seconds_since", "ai_core_usage_rows_waiting")
    text, json = (
        {key for key in figures if not any(part in key[0] for part in changes)}
        for figures in (as_text(core), as_json(core))
    )
    assert text == json
    assert as_text(core)["ai_core_slots", ()] == as_json(core)["ai_core_slots", ()] == 4


@pytest.mark.parametrize("accept", ["text/plain", "*/*", "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "text/html", ""])
def test_whoever_does_not_ask_for_json_gets_text(core: Core, accept: str) -> None:
    headers = {**core.headers("admin"), "Accept": accept}
    assert core.app.test_client().get("/metrics", headers=headers).content_type.startswith("text/plain")


@pytest.mark.parametrize("scope", ["metrics", "admin"])
@pytest.mark.parametrize("accept", ["text/plain", "application/json"])
def test_a_key_for_the_figures_or_an_administrators_gets_them(core: Core, scope: str, accept: str) -> None:
    headers = {**core.headers(scope), "Accept": accept}
    assert core.app.test_client().get("/metrics", headers=headers).status_code == 200


@pytest.mark.parametrize("scope", ["chat", "models"])
def test_other_keys_do_not_get_them(core: Core, scope: str) -> None:
    refused = core.app.test_client().get("/metrics", headers=core.headers(scope))
    assert (refused.status_code, refused.get_json()["code"]) == (403, "forbidden")


def test_a_key_for_the_figures_opens_nothing_else(core: Core) -> None:
    headers, client = core.headers("metrics"), core.app.test_client()
    closed = [rule for rule in core.app.url_map.iter_rules() if rule.endpoint not in PUBLIC_ENDPOINTS]
    for rule in closed:
        path = re.sub(r"<[^>]*>", "1", rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            expected = 200 if rule.endpoint == "metrics.metrics" else 403
            assert client.open(path, method=method, json={}, headers=headers).status_code == expected, (method, path)


def test_infinity_is_written_as_prometheus_does(core: Core) -> None:
    labels = {dict(labels).get("le") for name, labels in as_json(core) if name.endswith("_bucket")}
    assert "+Inf" in labels


def test_an_answer_is_measured_once(core: Core) -> None:
    assert ask(core) == 200
    figures = as_text(core)
    assert figures["ai_core_time_to_first_token_seconds_count", ()] == 1
    assert figures["ai_core_e2e_request_latency_seconds_count", ()] == 1
    assert figures["ai_core_answers_total", (("finish_reason", "stop"),)] == 1
    assert figures["ai_core_request_prompt_tokens_sum", ()] == figures["ai_core_prompt_tokens_total", ()]
    assert figures["ai_core_request_generation_tokens_sum", ()] == figures["ai_core_tokens_predicted_total", ()]
    assert figures["ai_core_inter_token_latency_seconds_count", ()] > 0


def test_errors_are_counted_by_their_code_also_in_streams(tmp_path: Path) -> None:
    core = build_core(tmp_path, "mot " * 50)
    assert ask(core, temperature=99) == 422
    core.backend.fail_next(RuntimeError("broken"))
    assert ask(core, stream=True) == 200
    core.backend.fail_next(RuntimeError("broken"))
    assert ask(core) == 500
    core.app.test_client().get("/nowhere")
    figures = as_text(core)
    assert figures["service_errors_total", (("code", "invalid_fields"),)] == 1
    assert figures["service_errors_total", (("code", "generation_failed"),)] == 2
    assert figures["service_errors_total", (("code", "not_found"),)] == 1
    core.parts.model.stop()


def test_what_the_cache_spared_is_counted(core: Core) -> None:
    for _ in range(3):
        assert ask(core) == 200
    figures = as_text(core)
    assert figures["ai_core_answer_cache_requests_total", (("result", "miss"),)] == 1
    assert figures["ai_core_answer_cache_requests_total", (("result", "hit"),)] == 2
    assert figures["ai_core_answers_total", (("finish_reason", "stop"),)] == 3
    assert figures["ai_core_request_generation_tokens_count", ()] == 1  # computed once


def test_components_and_the_process_are_seen(core: Core) -> None:
    figures = as_text(core)
    assert figures["component_up", (("component", "database"),)] == 1
    assert figures["component_up", (("component", "model"),)] == 1
    for name in ("process_resident_memory_bytes", "process_open_fds", "process_threads"):
        assert figures[name, ()] > 0
    core.parts.model.unload("scripted")
    figures = as_text(core)
    assert figures["component_up", (("component", "model"),)] == 0
    assert ("ai_core_slots", ()) not in figures


def test_registering_asks_no_component(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        build_core(tmp_path, started=False)
    assert "health check failed" not in caplog.text


def test_readiness_names_every_component(core: Core) -> None:
    components = core.app.test_client().get("/health/ready").get_json()["components"]
    assert {"model", "engine", "knowledge", "database"} <= set(components)
    assert all(component["detail"] for component in components.values())
