"""Nobody gets in without a live key of the right scope, from the right address, at the right pace."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from ai_core.api.access import PUBLIC_ENDPOINTS
from ai_core.keys import create_key, revoke_key
from ai_core.storage import ApiKey, AuditEntry, utc_now
from common.auth import make_key
from common.database import connection
from tests.fakes import Core, build_core


def ask(core: Core, key: str | None, *, bearer: bool = False) -> TestResponse:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"} if bearer else {"X-API-Key": key}
    return core.app.test_client().post("/api/v1/chat", json={"message": "Bonjour"}, headers=headers)


def test_no_key_is_401_and_says_how(core: Core) -> None:
    response = ask(core, None)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert response.get_json()["code"] == "unauthorized"


@pytest.mark.parametrize(
    "key", ["x", "cdt-", "cdt-0123456789ab-" + "x" * 43, "é" * 10, pytest.param(make_key().text, id="another")]
)
def test_a_wrong_key_is_401(core: Core, key: str) -> None:
    response = core.app.test_client().post(
        "/api/v1/chat", json={"message": "a"}, headers={"X-API-Key": key.encode().decode("latin-1")}
    )
    assert response.status_code == 401


def test_both_headers_carry_a_key(core: Core) -> None:
    key = core.key("chat")
    assert ask(core, key).status_code == 200
    assert ask(core, key, bearer=True).status_code == 200


def test_a_key_with_one_character_changed_is_401(core: Core) -> None:
    key = core.key("chat")
    assert ask(core, key[:-1] + ("A" if key[-1] != "A" else "B")).status_code == 401


def test_a_key_without_the_scope_is_403(core: Core) -> None:
    assert ask(core, core.key("models")).status_code == 403
    assert core.app.test_client().get("/metrics", headers=core.headers("chat")).status_code == 403


def test_an_expired_key_is_401(core: Core) -> None:
    with connection(core.parts.database):
        _, key = create_key("old", ("chat",), expires_at=utc_now() - timedelta(seconds=1))
    assert ask(core, key).status_code == 401


def test_a_revoked_key_is_401(core: Core) -> None:
    with connection(core.parts.database):
        record, key = create_key("gone", ("chat",))
        assert revoke_key(record.id)
        assert not revoke_key(record.id)
    assert ask(core, key).status_code == 401


def test_a_key_works_from_its_networks_only(core: Core) -> None:
    with connection(core.parts.database):
        _, inside = create_key("in", ("chat",), allowed_networks=("127.0.0.0/8", "::1/128"))
        _, outside = create_key("out", ("chat",), allowed_networks=("192.0.2.0/24",))
    assert ask(core, inside).status_code == 200
    assert ask(core, outside).status_code == 401


def test_the_key_itself_is_not_stored(core: Core) -> None:
    key = core.key("chat")
    with connection(core.parts.database):
        row = ApiKey.get(ApiKey.prefix == key.split("-")[1])
    assert key not in str(row.__data__)
    assert len(row.digest) == 64


def test_use_is_noted(core: Core) -> None:
    key = core.key("chat")
    ask(core, key)
    with connection(core.parts.database):
        assert ApiKey.get(ApiKey.prefix == key.split("-")[1]).last_used_at is not None


def test_a_database_that_cannot_be_written_still_lets_keys_in(core: Core) -> None:
    key = core.key("chat")
    with connection(core.parts.database):
        core.parts.database.execute_sql("PRAGMA query_only = 1")
        assert ask(core, key).status_code == 200


def test_the_request_after_the_limit_is_429_and_says_when(tmp_path: Path) -> None:
    core = build_core(tmp_path, RATE_LIMIT_PER_MINUTE="2")
    key = core.key("chat")
    first = ask(core, key)
    assert (first.headers["RateLimit-Limit"], first.headers["RateLimit-Remaining"]) == ("2", "1")
    ask(core, key)
    refused = ask(core, key)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit-Remaining"] == "0"
    assert ask(core, core.key("chat")).status_code == 200, "another key has a limit of its own"
    core.parts.model.stop()


def test_one_person_has_a_limit_whatever_the_key(tmp_path: Path) -> None:
    core = build_core(tmp_path, RATE_LIMIT_USER_PER_MINUTE="1")
    client, headers = core.app.test_client(), core.headers("chat")
    body = {"message": "Bonjour", "channel": "telegram", "user_id": "7"}
    assert client.post("/api/v1/chat", json=body, headers=headers).status_code == 200
    assert client.post("/api/v1/chat", json=body, headers=headers).status_code == 429
    assert client.post("/api/v1/chat", json={**body, "user_id": "8"}, headers=headers).status_code == 200
    core.parts.model.stop()


def test_an_address_that_keeps_failing_is_kept_out_even_with_a_good_key(tmp_path: Path) -> None:
    core = build_core(tmp_path, AUTH_FAILURES_PER_MINUTE="3")
    for _ in range(3):
        assert ask(core, "wrong").status_code == 401
    refused = ask(core, core.key("chat"))
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    core.parts.model.stop()


def test_a_forwarded_address_counts_only_behind_a_trusted_proxy(tmp_path: Path) -> None:
    forged = {"X-Forwarded-For": "192.0.2.1"}
    for proxies, expected in (("0", 401), ("1", 200)):
        core = build_core(tmp_path / proxies, TRUSTED_PROXIES=proxies)
        with connection(core.parts.database):
            _, key = create_key("office", ("chat",), allowed_networks=("192.0.2.0/24",))
        response = core.app.test_client().post(
            "/api/v1/chat", json={"message": "Bonjour"}, headers={"X-API-Key": key, **forged}
        )
        assert response.status_code == expected
        core.parts.model.stop()


def test_keys_are_made_listed_rotated_and_revoked_over_http(core: Core) -> None:
    client, admin = core.app.test_client(), core.headers("admin")
    made = client.post(
        "/api/v1/admin/keys", json={"name": "Cabinet", "scopes": ["chat"], "rate_limit_per_minute": 5}, headers=admin
    )
    assert made.status_code == 201
    first, key_id = made.get_json()["key"], made.get_json()["id"]
    assert ask(core, first).headers["RateLimit-Limit"] == "5"
    rotated = client.post(f"/api/v1/admin/keys/{key_id}/rotate", headers=admin).get_json()["key"]
    assert ask(core, first).status_code == 401
    assert ask(core, rotated).status_code == 200
    listed = client.get("/api/v1/admin/keys", headers=admin).get_json()
    assert rotated not in str(listed)
    assert "digest" not in str(listed)
    assert client.delete(f"/api/v1/admin/keys/{key_id}", headers=admin).status_code == 204
    assert client.delete(f"/api/v1/admin/keys/{key_id}", headers=admin).status_code == 404
    assert ask(core, rotated).status_code == 401
    with connection(core.parts.database):
        entries = [(entry.action, entry.outcome) for entry in AuditEntry.select().order_by(AuditEntry.id)]
    assert entries == [
        ("keys.create", "done"),
        ("keys.rotate", "done"),
        ("keys.revoke", "done"),
        ("keys.revoke", "refused: unknown_key"),
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scopes", ["root"]),
        ("scopes", []),
        ("allowed_networks", ["here"]),
        ("allowed_networks", ["10.0.0.0/99"]),
        ("expires_at", "2030-01-01T00:00:00"),
        ("expires_at", "9999-12-31T23:59:59-23:00"),
        ("name", ""),
        ("rate_limit_per_minute", 0),
    ],
)
def test_a_bad_key_request_names_its_field(core: Core, field: str, value: object) -> None:
    body = {"name": "Cabinet", "scopes": ["chat"], field: value}
    response = core.app.test_client().post("/api/v1/admin/keys", json=body, headers=core.headers("admin"))
    assert response.status_code == 422
    assert field in response.get_json()["errors"]


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/docs", "/openapi.json", "/"])
def test_the_public_routes_need_no_key(core: Core, path: str) -> None:
    assert core.app.test_client().get(path).status_code == 200


def test_no_route_but_the_public_ones_answers_without_a_key(tmp_path: Path) -> None:
    core = build_core(tmp_path, started=False, AUTH_FAILURES_PER_MINUTE="10000")
    client = core.app.test_client()
    for rule in core.app.url_map.iter_rules():
        if rule.endpoint not in PUBLIC_ENDPOINTS:
            path = re.sub("<[^>]*>", "1", rule.rule)
            method = next(iter((rule.methods or set()) - {"HEAD", "OPTIONS"}))
            assert client.open(path, method=method).status_code == 401, path
