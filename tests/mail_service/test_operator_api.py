"""The operator's API: closed without a key, nothing personal in lists, each step only where it fits, audited."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from common.key_book import KeyBook
from mail_service.answering import Answer, AnswererAway, Ask
from mail_service.api.access import PUBLIC_ENDPOINTS
from mail_service.app import create_app
from mail_service.storage import ApiKey, AuditEntry
from tests.mail_service.expected import corpus_message
from tests.mail_service.service import ScriptedAnswerer, Service, build_service, mail
from tests.mail_system import ALICE, MailSystem


class Fickle(ScriptedAnswerer):
    """Away while `away`."""

    away = False

    def answer(self, ask: Ask) -> Answer:
        if self.away:
            raise AnswererAway("ai_away")
        return super().answer(ask)


@pytest.fixture
def service(mail_system: MailSystem, tmp_path: Path) -> Iterator[Service]:
    built = build_service(mail_system, tmp_path, Fickle())
    mail_system.put(mail())
    mail_system.put(corpus_message("auto-list"))
    mail_system.put(corpus_message("empty-body"))
    built.run()
    yield built
    built.close()


class Operator:
    """A client with a key."""

    def __init__(self, service: Service) -> None:
        self.app = create_app(service.settings, service.parts)
        with service.parts.database:
            _, key = KeyBook(ApiKey).create("test")
        self.bare: FlaskClient = self.app.test_client()
        self._headers = {"X-API-Key": key}

    def get(self, path: str) -> Any:
        return self.bare.get(path, headers=self._headers)

    def post(self, path: str, **body: Any) -> Any:
        return self.bare.post(path, headers=self._headers, json=body)

    def delete(self, path: str) -> Any:
        return self.bare.delete(path, headers=self._headers)


@pytest.fixture
def operator(service: Service) -> Operator:
    return Operator(service)


def test_every_route_but_health_needs_a_key(operator: Operator) -> None:
    for rule in operator.app.url_map.iter_rules():
        if rule.endpoint in PUBLIC_ENDPOINTS:
            continue
        path = rule.rule.replace("<int(max=2147483647):message_id>", "1")
        path = path.replace("<any(retry, hold, release):step>", "hold").replace("<any(answer, apology):kind>", "answer")
        method = next(method for method in ("POST", "DELETE", "GET") if method in (rule.methods or ()))
        assert operator.bare.open(path, method=method).status_code == 401, rule.rule


def test_a_key_for_the_figures_opens_nothing_else(service: Service, operator: Operator) -> None:
    with service.parts.database:
        _, key = KeyBook(ApiKey).create("Prometheus", "metrics")
    for rule in operator.app.url_map.iter_rules():
        if rule.endpoint in PUBLIC_ENDPOINTS:
            continue
        path = rule.rule.replace("<int(max=2147483647):message_id>", "1")
        path = path.replace("<any(retry, hold, release):step>", "hold").replace("<any(answer, apology):kind>", "answer")
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            answer = operator.bare.open(path, method=method, json={}, headers={"X-API-Key": key})
            assert answer.status_code == (200 if rule.rule == "/metrics" else 403), (method, path)
    assert operator.get("/metrics").status_code == 200, "an operator's key opens them, too"


def test_who_guesses_keys_is_locked_out(operator: Operator) -> None:
    statuses = [operator.bare.get("/api/v1/messages", headers={"X-API-Key": "x"}).status_code for _ in range(22)]
    assert statuses[:20] == [401] * 20
    assert statuses[20:] == [429] * 2


def test_lists_hold_nothing_personal(operator: Operator) -> None:
    listed = operator.get("/api/v1/messages").get_json()["messages"]
    assert [(row["state"], row["reason"]) for row in listed] == [
        ("failed", "empty"),
        ("refused", "mailing_list"),
        ("completed", ""),
    ]
    assert "alice" not in json.dumps(listed)
    assert operator.get("/api/v1/messages?state=failed").get_json()["messages"][0]["reason"] == "empty"
    assert len(operator.get("/api/v1/messages?before=3&limit=1").get_json()["messages"]) == 1


def test_one_message_is_shown_with_all_of_it(operator: Operator, service: Service) -> None:
    shown = operator.get("/api/v1/messages/1").get_json()
    assert (shown["sender"], shown["question"]) == (ALICE, "Quelle est la durée du préavis ?")
    assert shown["replies"][0]["state"] == "sent"
    assert operator.get("/api/v1/messages/99").status_code == 404
    with service.parts.database:
        assert [entry.action for entry in AuditEntry.select()] == ["messages.show"]


def test_bad_values_are_named(operator: Operator) -> None:
    for query in ("state=lost", "limit=0", "limit=x", "before=-1", "limit=9999"):
        answer = operator.get(f"/api/v1/messages?{query}")
        assert answer.status_code == 422
        assert list(answer.get_json()["errors"]) == [query.partition("=")[0]]
    assert operator.post("/api/v1/people/erase", address="nobody").status_code == 422
    assert operator.bare.post("/api/v1/people/erase", data="x").status_code == 401


def test_a_failed_message_is_tried_again(operator: Operator, service: Service) -> None:
    assert operator.post("/api/v1/messages/3/retry").status_code == 200
    assert operator.post("/api/v1/messages/3/retry").status_code == 409
    service.work_off()
    assert service.outcomes()["failed empty"] == 1
    assert operator.post("/api/v1/messages/1/retry").status_code == 409, "an answered one is not answered again"


def test_hold_and_release(operator: Operator, service: Service) -> None:
    assert isinstance(service.answerer, Fickle)
    service.answerer.away = True
    service.system.put(mail(message_id="4@client.example"))
    service.run()
    assert service.outcomes()["held ai_away"] == 1
    assert operator.post("/api/v1/messages/4/hold").status_code == 200
    service.answerer.away = False
    service.work_off()
    assert service.outcomes()["held operator"] == 1
    assert operator.post("/api/v1/messages/4/release").status_code == 200
    assert operator.post("/api/v1/messages/4/release").status_code == 409
    service.work_off()
    assert service.outcomes()["completed"] == 2


def test_one_message_is_erased(operator: Operator, service: Service) -> None:
    # Without Redis nobody can promise that nothing is left.
    assert operator.delete("/api/v1/messages/1").status_code == 503
    assert len(service.messages()) == 3


def test_export_over_the_api(operator: Operator) -> None:
    exported = operator.post("/api/v1/people/export", address="ALICE@client.example").get_json()
    assert len(exported["messages"]) == 3


def test_statistics_and_metrics(operator: Operator) -> None:
    figures = operator.get("/api/v1/statistics").get_json()
    assert figures["received"] == 3
    assert figures["answered"] == 1
    assert figures["refused"] == {"mailing_list": 1}
    assert figures["success_rate"] == 0.5
    text = operator.get("/metrics").get_data(as_text=True)
    for line in (
        "mail_received_total 3.0",
        'mail_refused_total{reason="mailing_list"} 1.0',
        'mail_failed_total{reason="empty"} 1.0',
        'mail_sent_total{kind="answer"} 1.0',
        'mail_answer_seconds_bucket{le="+Inf"} 1.0',
        'mail_messages{state="completed"} 1.0',
    ):
        assert line in text


def test_templates_are_shown(operator: Operator) -> None:
    page = operator.get("/api/v1/templates/answer/preview")
    assert "35 heures" in page.get_data(as_text=True)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert operator.get("/api/v1/templates/apology/preview?format=txt").content_type == "text/plain; charset=utf-8"
    assert operator.get("/api/v1/templates/other/preview").status_code == 404
    assert operator.get("/api/v1/templates/answer/preview?format=pdf").status_code == 422


def test_readiness_names_each_part(operator: Operator) -> None:
    answer = operator.bare.get("/health/ready")
    components = answer.get_json()["components"]
    assert answer.status_code == 200
    assert {name: part["status"] for name, part in components.items()} == {
        "database": "ok",
        "imap": "ok",
        "poller": "ok",
        "smtp": "ok",
        "ai_core": "degraded",
        "queue": "degraded",
        "scanner": "degraded",
    }
    assert operator.bare.get("/health").get_json() == {"status": "ok"}
