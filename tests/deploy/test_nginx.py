"""The sites as a client meets them: the real AI core, with a scripted model, behind a real nginx."""

from __future__ import annotations

import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.ai_core.api.openai_compat.loopback import served
from tests.deploy.nginx_server import NAMES, Nginx, SiteConnection, program
from tests.fakes import Core, build_core
from tests.waiting import until

pytestmark = pytest.mark.skipif(program() is None, reason="nginx is not installed: apt-get install nginx-light")

LONG_ANSWER = "lampe " * 1_000
HOST = NAMES["ai_core"]


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    built = build_core(
        tmp_path_factory.mktemp("core"),
        lambda prompt: LONG_ANSWER if "longtemps" in prompt else "Bonjour.",
        step_seconds=0.01,
        TRUSTED_PROXIES="1",
    )
    yield built
    built.parts.model.stop()


@pytest.fixture(scope="module")
def nginx(core: Core) -> Iterator[Nginx]:
    with served(core) as address:
        server = Nginx(nginx_ai_core_upstreams=[address.removeprefix("http://")])
        server.start()
        yield server
        server.stop()


def test_the_configuration_is_valid_and_gixy_finds_nothing(nginx: Nginx) -> None:
    checked = nginx.test()
    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr
    gixy = Path(sys.executable).with_name("gixy")
    found = subprocess.run([gixy, str(nginx.config)], capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stdout


def test_gixy_would_find_something(nginx: Nginx) -> None:
    bad = nginx.home / "bad.conf"
    bad.write_text("events {} http { server { location / { return 302 http://$host$uri; } } }")
    gixy = Path(sys.executable).with_name("gixy")
    assert subprocess.run([gixy, str(bad)], capture_output=True, timeout=120).returncode != 0


def test_a_question_is_answered_over_https(nginx: Nginx, core: Core) -> None:
    reply = nginx.ask("ai_core", "/api/v1/chat", method="POST", body={"message": "Salut"}, headers=core.headers())
    assert (reply.status, reply.body["response"]) == (200, "Bonjour.")


def test_http_is_sent_to_https_on_the_same_host(nginx: Nginx) -> None:
    for name in NAMES.values():
        reply = nginx.ask_plain(name, "/api/v1/search?q=pr%C3%A9avis", method="POST")
        assert reply.status == 308  # a POST stays one
        assert reply.headers["Location"] == f"https://{name}/api/v1/search?q=pr%C3%A9avis"
        assert "Strict-Transport-Security" not in reply.headers  # RFC 6797, section 7.2


def test_certificates_challenges_are_answered_over_http(nginx: Nginx) -> None:
    folder = nginx.home / "acme" / ".well-known" / "acme-challenge"
    folder.mkdir(parents=True)
    (folder / "token").write_text("token.thumbprint")
    assert nginx.ask_plain(HOST, "/.well-known/acme-challenge/token").body == "token.thumbprint"
    missing = nginx.ask_plain(HOST, "/.well-known/acme-challenge/other")
    assert (missing.status, missing.body["code"]) == (404, "not_found")


def test_names_that_are_not_ours_get_no_answer(nginx: Nginx) -> None:
    with pytest.raises((HTTPException, OSError)):
        nginx.ask_plain("somebody-else.example", "/")
    connection = SiteConnection(HOST, nginx.https_port, nginx.trust())
    connection.request("GET", "/health", headers={"Host": "somebody-else.example"})
    with pytest.raises((HTTPException, OSError)):
        connection.getresponse()


def test_old_tls_is_refused_and_http_2_is_spoken(nginx: Nginx) -> None:
    modern = nginx.trust()
    modern.set_alpn_protocols(["h2", "http/1.1"])
    connection = SiteConnection(HOST, nginx.https_port, modern)
    connection.connect()
    assert (connection.sock.version(), connection.sock.selected_alpn_protocol()) == ("TLSv1.3", "h2")
    connection.close()
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        SiteConnection(HOST, nginx.https_port, old).connect()


@pytest.mark.parametrize("path", ["/", "/docs", "/health", "/api/v1/models", "/nowhere"])
def test_every_response_has_each_security_header_once(nginx: Nginx, path: str) -> None:
    headers = nginx.ask("ai_core", path).headers
    assert headers.get_all("Strict-Transport-Security") == ["max-age=63072000; includeSubDomains"]
    assert headers.get_all("X-Frame-Options") == ["DENY"]
    assert headers.get_all("X-Content-Type-Options") == ["nosniff"]
    assert headers.get_all("Referrer-Policy") == ["no-referrer"]
    assert len(headers.get_all("Content-Security-Policy") or []) == 1
    assert len(headers.get_all("X-Request-ID") or []) == 1
    assert headers.get_all("Server") == ["nginx"], "the version is nobody's business"


def test_the_pages_keep_their_own_policy(nginx: Nginx) -> None:
    assert "script-src 'self'" in nginx.ask("ai_core", "/").headers["Content-Security-Policy"]
    assert nginx.ask("ai_core", "/health").headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_the_errors_of_the_service_pass_as_they_are(nginx: Nginx) -> None:
    reply = nginx.ask("ai_core", "/api/v1/chat", method="POST", body={"message": "Salut"})
    assert (reply.status, reply.body["code"]) == (401, "unauthorized")


def test_a_sane_request_id_is_passed_on_and_another_is_replaced(nginx: Nginx) -> None:
    assert nginx.ask("ai_core", "/health", headers={"X-Request-ID": "abc-1"}).headers["X-Request-ID"] == "abc-1"
    made = nginx.ask("ai_core", "/health", headers={"X-Request-ID": 'a"b c'}).headers["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{32}", made)
    until(lambda: f'"request_id": "{made}"' in nginx.log("ai-core.access.log"))


def test_an_answer_streams_as_it_is_written_and_ends_when_its_reader_leaves(nginx: Nginx, core: Core) -> None:
    asked = {"message": "Parle longtemps.", "stream": True, "max_tokens": 2_000}
    response = nginx.begin("ai_core", "/api/v1/chat", method="POST", body=asked, headers=core.headers())
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert "Content-Encoding" not in response.headers
    until(lambda: response.readline().startswith(b"event: token") or None)
    stats = core.parts.model.current().engine.stats
    assert stats().slots_busy == 1, "it arrived before the answer was complete"
    taken = len(core.backend.batches)
    response.close()
    until(lambda: stats().slots_busy == 0)
    assert len(core.backend.batches) - taken < 1_000, "cancelled, not finished"


def test_a_body_that_is_too_large_is_refused_by_name(nginx: Nginx, core: Core) -> None:
    reply = nginx.ask("ai_core", "/api/v1/chat", method="POST", body=b"x" * 2_200_000, headers=core.headers())
    assert (reply.status, reply.body["code"]) == (413, "payload_too_large")
    assert reply.body["request_id"] == reply.headers["X-Request-ID"]


def test_recordings_may_be_larger(nginx: Nginx, core: Core) -> None:
    path = "/v1/audio/transcriptions"
    reply = nginx.ask("ai_core", path, method="POST", body=b"x" * 2_200_000, headers=core.headers())
    assert "error" in reply.body, "the service's own answer, in OpenAI's shape"


def test_an_address_that_is_too_long_is_refused_as_json(nginx: Nginx) -> None:
    reply = nginx.ask("ai_core", "/" + "x" * 20_000)
    assert (reply.status, reply.body["code"]) == (414, "uri_too_long")
    reply = nginx.ask("ai_core", "/health", headers={"X-Long": "x" * 20_000})
    assert (reply.status, reply.body["code"]) == (431, "request_header_fields_too_large")


def test_scripts_and_styles_are_compressed_and_answers_are_not(nginx: Nginx) -> None:
    packed = {"Accept-Encoding": "gzip"}
    response = nginx.begin("ai_core", "/docs/assets/swagger-ui.css", headers=packed)
    assert response.headers["Content-Encoding"] == "gzip"
    response.close()
    assert "Content-Encoding" not in nginx.ask("ai_core", "/openapi.json", headers=packed).headers


def test_no_log_tells_what_was_asked(nginx: Nginx, core: Core) -> None:
    nginx.ask("ai_core", "/api/v1/knowledge/search?q=harcelement", headers=core.headers())
    nginx.ask("ai_core", "/harcelement")
    nginx.ask("ai_core", "/api/v1/users/telegram/harcelement", headers=core.headers("admin"))
    nginx.ask_plain(HOST, "/?q=harcelement")
    nginx.ask("mail", "/messages?q=harcelement")  # nobody listens there: an error
    until(lambda: nginx.log("http.access.log") and '"status": 503' in nginx.log("mail.access.log"))
    logs = "".join(path.read_text() for path in [*(nginx.home / "log").iterdir(), nginx.home / "stderr"])
    assert "harcelement" not in logs
    assert '"route": "/api/v1/users"' in logs
    assert '"route": "other"' in logs
