"""Whoever administers leaves a trace, also when refused; the trace can be searched and names no person."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from ai_core import audit
from ai_core.storage import AuditEntry, utc_now
from common.database import connection
from tests.ai_core.api.conftest import Administrator


def test_an_action_is_noted_with_who_when_from_where_and_how_it_ended(administrator: Administrator) -> None:
    made = administrator.post("keys", {"name": "Café", "scopes": ["chat"]}).get_json()
    entry = administrator.get("audit").get_json()["entries"][0]
    assert entry["action"] == "keys.create"
    assert entry["target"] == made["prefix"]
    assert entry["actor"] == administrator.headers["X-API-Key"].split("-")[1]
    assert (entry["address"], entry["outcome"]) == ("127.0.0.1", "done")
    assert datetime.fromisoformat(entry["at"]) <= datetime.now(timezone.utc)


def test_refused_actions_are_noted_too(administrator: Administrator) -> None:
    core = administrator.core
    administrator.post("cleanup", {"operations": ["nonsense"]})
    administrator.delete("keys/4242")
    core.app.test_client().post("/api/v1/admin/cleanup", json={}, headers=core.headers("chat"))
    core.app.test_client().post("/api/v1/admin/cleanup", json={})  # nobody
    assert [(action, outcome) for action, _, outcome in administrator.outcomes()] == [
        ("admin.clean_up", "refused: invalid_fields"),
        ("keys.revoke", "refused: unknown_key"),
        ("admin.clean_up", "refused: forbidden"),
    ]


def test_an_action_that_was_cut_short_stays_started(
    administrator: Administrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanish(*_: object, **__: object) -> None:
        raise SystemExit

    monkeypatch.setattr(administrator.core.parts.operations.cleanup, "run", vanish)
    with pytest.raises(SystemExit):
        administrator.post("cleanup", {"operations": ["clean_temp"]})
    assert administrator.outcomes() == [("admin.clean_up", "", "started")]


def test_looking_is_not_an_action_but_exporting_a_person_is(administrator: Administrator) -> None:
    administrator.get("keys")
    administrator.get("system-status")
    administrator.get("users/mail/paul.durand@example.org/export")
    outcomes = administrator.outcomes()
    assert [(action, outcome) for action, _, outcome in outcomes] == [("people.export", "done")]
    assert "durand" not in str(outcomes)


def test_the_log_is_searched_and_paged(administrator: Administrator) -> None:
    with connection(administrator.core.parts.database):
        for number in range(7):
            audit.note(f"key{number % 2}", "keys.create", str(number))
        AuditEntry.update(at=utc_now() - timedelta(days=3)).where(AuditEntry.target == "0").execute()
    seen: list[str] = []
    query: dict[str, int] = {"limit": 3}
    while True:
        page = administrator.get("audit", **query).get_json()
        seen += [entry["target"] for entry in page["entries"]]
        if page["next"] is None:
            break
        query["before"] = page["next"]
    assert seen == ["6", "5", "4", "3", "2", "1", "0"]
    yesterday = (datetime.now(timezone.utc) - timedelta(days=1)).isoformat()
    for query_, expected in (
        ({"actor": "key1"}, ["5", "3", "1"]),
        ({"action": "keys.revoke"}, []),
        ({"until": yesterday}, ["0"]),
        ({"since": yesterday, "actor": "key0"}, ["6", "4", "2"]),
    ):
        found = administrator.get("audit", **query_).get_json()["entries"]
        assert [entry["target"] for entry in found] == expected
    for bad in ({"since": "yesterday"}, {"since": "0001-01-01T00:00:00+23:00"}, {"limit": 0}, {"before": "x"}):
        assert administrator.get("audit", **bad).status_code == 422


def test_old_entries_go(administrator: Administrator) -> None:
    with connection(administrator.core.parts.database):
        audit.note("a", "keys.create", "old")
        AuditEntry.update(at=utc_now() - timedelta(days=366)).execute()
        audit.note("a", "keys.create", "new")
    assert audit.forget_before(administrator.core.parts.database, 365) == 1
    assert [target for _, target, _ in administrator.outcomes()] == ["new"]
