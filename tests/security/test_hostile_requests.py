"""Whatever stands in a route, a query, a field or a header: an answer in the one shape, never a 500, nothing forged."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_core.storage import AuditEntry
from common.database import connection
from tests.fakes import Core, build_core
from tests.security.hostile_texts import ALL, LINE_ENDS, NOT_TEXT
from tests.security.services import MANY, WEBHOOK_SECRET, Service, of_core

QUERY = ("q", "limit", "before", "actor", "action", "since", "until", "day", "levels", "request_id", "state", "reason")
SERVER_ERRORS = (500, 501, 502, 504)  # 503 says that Redis, or a model, is away


@pytest.fixture
def everywhere(tmp_path: Path, database_url: str) -> Iterator[Core]:
    """The AI core over SQLite and over PostgreSQL, which takes no NUL."""
    core = build_core(tmp_path, SECRET_KEY="s" * 40, DATABASE_URL=database_url, **MANY)
    core.install_code({"L1-1": "La lampe."})
    yield core
    core.parts.model.stop()
    core.parts.operations.usage.stop()


def in_an_address(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def addresses(service: Service, text: str) -> Iterator[tuple[str, str]]:
    """Every route with `text` in place of its variables, or of its query."""
    encoded = in_an_address(text)
    for rule in service.app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}:
            if "<" in rule.rule:
                yield method, re.sub("<[^>]*>", lambda _: encoded or "x", rule.rule)
            elif method == "GET":
                yield method, f"{rule.rule}?" + "&".join(f"{name}={encoded}" for name in QUERY)


def test_every_route_survives_every_text(service: Service) -> None:
    survives(service, ALL)


def test_over_postgresql_too(everywhere: Core) -> None:
    survives(of_core(everywhere), NOT_TEXT)


def survives(service: Service, texts: Sequence[str]) -> None:
    _, key = service.make_key()
    client, headers = service.client(), {"X-API-Key": key}
    for text in texts:
        for method, address in addresses(service, text):
            response = client.open(address, method=method, headers=headers)
            assert response.status_code not in SERVER_ERRORS, (method, address[:200])
            assert "Set-Cookie" not in response.headers
            if response.status_code >= 400:
                assert response.is_json, (method, address[:200])  # never an HTML error page
                assert "Traceback" not in response.text


FIELDS = {
    "/api/v1/chat": ("message", "channel", "user_id", "model", "context", "parameters", "stream", "grounding", "stop"),
    "/api/v1/generate": ("prompt", "priority", "email_context", "model", "seed", "max_tokens"),
    "/api/v1/models/load": ("model_id",),
    "/api/v1/models/unload": ("model_id",),
    "/api/v1/models/download": ("model_name", "model_format", "filename", "revision", "auth_token"),
    "/api/v1/admin/keys": ("name", "scopes", "expires_at", "allowed_networks", "rate_limit_per_minute"),
    "/api/v1/admin/cleanup": ("operations", "force"),
    "/api/v1/admin/purge-logs": ("older_than_days", "keep_latest_files", "log_levels"),
    "/v1/chat/completions": ("model", "messages", "user", "stop", "response_format"),
    "/v1/completions": ("model", "prompt", "user"),
    "/v1/embeddings": ("model", "input"),
}
GOOD: dict[str, dict[str, Any]] = {
    "/api/v1/chat": {"message": "Quoi ?", "max_tokens": 1},
    "/api/v1/generate": {"prompt": "Quoi ?", "max_tokens": 1},
    "/api/v1/models/download": {"model_name": "acme/tiny"},
    "/api/v1/admin/keys": {"name": "Cabinet", "scopes": ["chat"]},
    "/v1/chat/completions": {
        "model": "scripted",
        "messages": [{"role": "user", "content": "Quoi ?"}],
        "max_tokens": 1,
    },
}


def test_every_field_survives_every_text(everywhere: Core) -> None:
    service = of_core(everywhere)
    client, headers = service.client(), {"X-API-Key": service.make_key()[1]}
    texts = ("", "\x00", "a\x00b", "\ud800", "²")
    for path, names in FIELDS.items():
        for name in names:
            for text in texts:
                if path.endswith("download") and name in ("filename", "revision", "auth_token"):
                    body: dict[str, Any] = {"model_name": "no-owner", name: text}  # nothing is to be fetched
                else:
                    body = {**GOOD.get(path, {}), name: text}
                response = client.post(path, json=body, headers=headers)
                assert response.status_code not in SERVER_ERRORS, (path, name, text)


def test_what_was_tried_is_in_the_audit_log_whatever_its_name(everywhere: Core) -> None:
    service = of_core(everywhere)
    client, headers = service.client(), {"X-API-Key": service.make_key()[1]}
    for text in (*LINE_ENDS, *NOT_TEXT):
        assert client.post("/api/v1/models/load", json={"model_id": text}, headers=headers).status_code == 404
    with connection(everywhere.parts.database):
        entries = [entry for entry in AuditEntry.select() if entry.action == "models.load_given"]
    assert len(entries) == len(LINE_ENDS) + len(NOT_TEXT)
    for entry in entries:
        assert entry.outcome == "refused: unknown_model"  # not `started`: its end was written, too
        assert entry.target.isprintable()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(ALL),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def test_any_json_is_answered_or_refused(patient_core: Core) -> None:
    client, headers = patient_core.app.test_client(), patient_core.headers("chat", "models", "admin")

    @given(st.sampled_from(sorted(FIELDS)), JSON, st.data())
    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def any_json(path: str, value: Any, data: st.DataObject) -> None:
        body = value
        if not path.endswith("download") and data.draw(st.booleans()):
            body = {**GOOD.get(path, {}), data.draw(st.sampled_from(FIELDS[path])): value}
        sent = json.dumps(body).encode()
        response = client.post(path, data=sent, headers=headers, content_type="application/json")
        assert response.status_code not in SERVER_ERRORS, (path, sent)

    any_json()


TO_HURT = (
    b"[" * 200_000,
    b'{"message":' + b"[" * 100_000,
    b'{"a":' * 50_000,
    b"9" * 100_000,
    b'"\xff"',
    b"\x00",
    b"NaN",
)


def test_json_that_is_made_to_hurt_is_refused(service: Service) -> None:
    _, key = service.make_key()
    headers = {"X-API-Key": key, "X-Telegram-Bot-Api-Secret-Token": WEBHOOK_SECRET}
    paths = {"ai_core": "/api/v1/chat", "telegram_service": "/webhook", "mail_service": "/api/v1/people/export"}
    for body in TO_HURT:
        response = service.client().post(
            paths[service.name], data=body, headers=headers, content_type="application/json"
        )
        assert response.status_code in (400, 413, 422), body[:20]
        assert response.get_json()["code"]


def test_a_request_id_that_could_forge_a_line_is_replaced(service: Service) -> None:
    for text in LINE_ENDS:
        # No HTTP server lets line ends through in a header, so they are handed over as they would arrive.
        given = {"HTTP_X_REQUEST_ID": text.encode().decode("latin-1")}
        response = service.client().get("/health", environ_overrides=given)
        assert re.fullmatch("[0-9a-f]{16}", response.headers["X-Request-ID"])
        assert len(response.headers.getlist("X-Request-ID")) == 1
        assert "Set-Cookie" not in response.headers
