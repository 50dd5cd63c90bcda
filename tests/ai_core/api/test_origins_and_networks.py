"""Pages of other sites (CORS), and the addresses that requests may come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.env import SettingError
from tests.fakes import Core, build_core

SITE = "https://www.example.org"


def core_with(tmp_path: Path, **variables: str) -> Core:
    return build_core(tmp_path, started=False, **variables)  # type: ignore[arg-type]


def preflight(core: Core, origin: str, path: str = "/api/v1/chat") -> dict[str, str]:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    return dict(core.app.test_client().options(path, headers=asked).headers)


def test_a_page_of_an_allowed_site_may_ask_and_read_what_it_needs(tmp_path: Path) -> None:
    core = core_with(tmp_path, CORS_ORIGINS=f"{SITE},http://localhost:3000")
    allowed = preflight(core, SITE)
    assert allowed["Access-Control-Allow-Origin"] == SITE
    assert "X-API-Key" in allowed["Access-Control-Allow-Headers"]
    assert "POST" in allowed["Access-Control-Allow-Methods"]
    assert "Access-Control-Allow-Credentials" not in allowed
    response = core.app.test_client().get("/api/v1/knowledge/search?q=a", headers={"Origin": SITE})
    assert response.status_code == 401  # a preflight opens nothing
    assert response.headers["Access-Control-Allow-Origin"] == SITE
    assert "Retry-After" in response.headers["Access-Control-Expose-Headers"]
    assert "Origin" in response.headers["Vary"]


def test_the_openai_client_may_tell_about_itself_from_a_page(tmp_path: Path) -> None:
    core = core_with(tmp_path, CORS_ORIGINS=SITE)
    asked = {"Origin": SITE, "Access-Control-Request-Method": "POST"}
    asked["Access-Control-Request-Headers"] = "authorization, x-stainless-lang, x-other, x-stainless- evil"
    response = core.app.test_client().options("/v1/chat/completions", headers=asked)
    allowed = response.headers["Access-Control-Allow-Headers"].split(", ")
    assert "x-stainless-lang" in allowed
    assert not {"x-other", "x-stainless- evil"} & set(allowed)


def test_a_page_of_another_site_is_not_told_that_it_may(tmp_path: Path) -> None:
    core = core_with(tmp_path, CORS_ORIGINS=SITE)
    for headers in (preflight(core, "https://evil.example"), preflight(core, "null")):
        assert "Access-Control-Allow-Origin" not in headers
    assert "Access-Control-Allow-Origin" not in preflight(core, SITE, "/admin/ui")


def test_nothing_is_said_unless_the_operator_allows_a_site(tmp_path: Path) -> None:
    assert "Access-Control-Allow-Origin" not in preflight(core_with(tmp_path), SITE)


def test_a_star_allows_everybody(tmp_path: Path) -> None:
    assert preflight(core_with(tmp_path, CORS_ORIGINS="*"), "https://any.example")["Access-Control-Allow-Origin"] == "*"


def test_only_listed_networks_are_served_but_health_always_answers(tmp_path: Path) -> None:
    core = core_with(tmp_path, ALLOWED_NETWORKS="10.0.0.0/8 2001:db8::/32")
    client = core.app.test_client()
    headers = core.headers("chat")

    def status(path: str, address: str) -> int:
        return client.get(path, headers=headers, environ_base={"REMOTE_ADDR": address}).status_code

    assert [status("/", address) for address in ("10.1.2.3", "2001:db8::1", "::ffff:10.1.2.3")] == [200, 200, 200]
    assert [status("/", address) for address in ("192.0.2.1", "::1", "unix")] == [403, 403, 403]
    assert status("/api/v1/knowledge/search?q=a", "192.0.2.1") == 403
    assert status("/health", "192.0.2.1") == 200


def test_administration_can_be_kept_to_some_networks(tmp_path: Path) -> None:
    core = core_with(tmp_path, ADMIN_NETWORKS="127.0.0.1")
    client, headers = core.app.test_client(), core.headers("admin", "chat")
    elsewhere = {"REMOTE_ADDR": "192.0.2.1"}
    assert client.get("/api/v1/admin/keys", headers=headers).status_code == 200
    assert client.get("/api/v1/admin/keys", headers=headers, environ_base=elsewhere).status_code == 403
    search = "/api/v1/knowledge/search?q=a"
    assert client.get(search, headers=headers, environ_base=elsewhere).status_code == 503  # served: not installed


@pytest.mark.parametrize(
    "variable", [{"CORS_ORIGINS": "www.example.org"}, {"ALLOWED_NETWORKS": "10.0.0.300"}, {"REDIS_URL": "localhost"}]
)
def test_a_bad_value_stops_the_start_and_names_the_variable(tmp_path: Path, variable: dict[str, str]) -> None:
    with pytest.raises(SettingError, match=next(iter(variable))):
        core_with(tmp_path, **variable)
