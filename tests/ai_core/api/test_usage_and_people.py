"""Each answer is accounted for; a person can see and erase what there is of them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from urllib.parse import quote

import pytest

from ai_core.storage import RequestUsage
from common.crypto import person_hash
from common.database import connection
from tests.ai_core.api.conftest import Administrator
from tests.fakes import Core

NOW = datetime.now(timezone.utc)
DIFFICULT_IDS = ["42", "paul.durand@example.org", "été/x@example.org", "%2e%2e", "a b+c?", "😀"]


def ask(core: Core, headers: dict[str, str], **body: object) -> int:
    question = {"message": "Bonjour", "channel": "telegram", "user_id": "42", **body}
    response = core.app.test_client().post("/api/v1/chat", json=question, headers=headers)
    response.get_data()
    return response.status_code


def rows(core: Core) -> list[RequestUsage]:
    assert core.parts.operations.usage.flush(20)
    with connection(core.parts.database):
        return list(RequestUsage.select().order_by(RequestUsage.id))


def test_an_answer_leaves_a_row_without_its_text(everywhere: Core) -> None:
    assert ask(everywhere, everywhere.headers("chat")) == 200
    (row,) = rows(everywhere)
    assert (row.channel, row.model, row.finish_reason, row.error) == ("telegram", "scripted", "stop", None)
    assert row.prompt_tokens > 0
    assert row.completion_tokens > 0
    assert row.seconds > 0
    assert row.person == person_hash("s" * 40, "telegram", "42")


def test_a_stream_leaves_a_row_also_when_its_client_goes_away(everywhere: Core) -> None:
    headers = everywhere.headers("chat")
    assert ask(everywhere, headers, stream=True) == 200
    response = everywhere.app.test_client().post(
        "/api/v1/chat", json={"message": "Bonjour", "stream": True}, headers=headers
    )
    iterator = response.iter_encoded()
    next(iterator)
    next(iterator)
    response.close()
    assert [row.finish_reason for row in rows(everywhere)] == ["stop", "cancelled"]
    assert rows(everywhere)[1].person is None


def test_a_refused_question_is_counted_once_and_a_stray_one_not_at_all(everywhere: Core) -> None:
    headers = everywhere.headers("chat")
    assert ask(everywhere, headers, temperature=99) == 422
    everywhere.parts.model.unload("scripted")
    assert ask(everywhere, headers) == 409
    assert ask(everywhere, everywhere.headers("models")) == 403
    assert [row.error for row in rows(everywhere)] == ["invalid_fields", "model_not_loaded"]


def test_usage_is_shown_in_sums(administrator: Administrator) -> None:
    core = administrator.core
    headers = core.headers("chat")
    for _ in range(3):
        assert ask(core, headers) == 200
    made = rows(core)
    for step in ("day", "hour"):
        body = administrator.get("usage", step=step).get_json()
        assert body["totals"]["requests"] == 3
        assert body["totals"]["prompt_tokens"] == sum(row.prompt_tokens for row in made)
        assert [point["requests"] for point in body["points"]] in ([3], [1, 2], [2, 1])
        assert administrator.get("usage", step=step, key_id=4242).get_json()["points"] == []
        assert administrator.get("usage", step=step, key_id=made[0].key_id).get_json()["totals"]["requests"] == 3
    before = (NOW - timedelta(days=9)).isoformat()
    assert administrator.get("usage", until=before).get_json()["totals"]["requests"] == 0


@pytest.mark.parametrize(
    "query",
    [
        {"step": "minute"},
        {"key_id": 0},
        {"until": "9999-12-31T23:59:59-23:00"},
    ],
)
def test_what_is_no_span_is_refused(core: Core, query: dict[str, str]) -> None:
    assert Administrator(core).get("usage", **query).status_code == 422


def test_a_long_span_is_cut_and_a_turned_one_is_empty(core: Core) -> None:
    body = Administrator(core).get("usage", since="2001-01-01T00:00:00Z", until="2026-01-01T00:00:00Z").get_json()
    assert body["since"] == "2022-12-30T00:00:00+00:00"
    hours = {"step": "hour", "since": "2026-01-01T00:00:00Z", "until": "2026-03-01T00:00:00Z"}
    assert Administrator(core).get("usage", **hours).get_json()["since"] == "2026-02-15T00:00:00+00:00"
    turned = {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}
    assert Administrator(core).get("usage", **turned).get_json()["points"] == []


def test_the_first_day_of_time_is_no_error(core: Core) -> None:
    assert Administrator(core).get("usage", until="0001-01-01T12:00:00Z").status_code == 200


@pytest.mark.parametrize("user_id", DIFFICULT_IDS)
def test_a_person_is_exported_and_erased(core: Core, user_id: str) -> None:
    administrator = Administrator(core)
    path = f"users/telegram/{quote(user_id, safe='')}"
    assert ask(core, core.headers("chat"), user_id=user_id) == 200
    assert ask(core, core.headers("chat"), user_id="somebody else") == 200
    exported = administrator.get(f"{path}/export").get_json()
    assert (exported["channel"], exported["user_id"]) == ("telegram", user_id)
    assert [row["finish_reason"] for row in exported["requests"]] == ["stop"]
    erased = administrator.delete(path).get_json()["erased"]
    assert (erased["requests"], erased["rate_limits"]) == (1, 1)
    assert administrator.get(f"{path}/export").get_json()["requests"] == []
    assert set(administrator.delete(path).get_json()["erased"].values()) == {0}
    assert [row.person is None for row in rows(core)] == [True, False]
    outcomes = administrator.outcomes()
    assert [action for action, _, _ in outcomes] == ["people.export", "people.erase", "people.export", "people.erase"]
    assert {target for _, target, _ in outcomes} == {core.parts.operations.people.hash_of("telegram", user_id)}


def test_only_administrators_see_people(core: Core) -> None:
    for method in ("GET", "DELETE"):
        path = "/api/v1/admin/users/mail/a" + ("/export" if method == "GET" else "")
        response = core.app.test_client().open(path, method=method, headers=core.headers("chat", "models"))
        assert response.status_code == 403
