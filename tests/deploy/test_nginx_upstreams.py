"""What nginx passes on, to whom, how much of it, and what it says when nobody answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from jinja2 import Environment, meta

from tests.deploy.nginx_server import SOURCE, Nginx, program, read
from tests.deploy.upstream import Upstream, upstream
from tests.end_to_end.server import free_port
from tests.waiting import until

pytestmark = pytest.mark.skipif(program() is None, reason="nginx is not installed: apt-get install nginx-light")


@contextmanager
def running(**variables: Any) -> Iterator[Nginx]:
    server = Nginx(**variables)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def nobody() -> str:
    return f"127.0.0.1:{free_port()}"


@pytest.fixture
def service() -> Iterator[Upstream]:
    with upstream() as started:
        yield started


@pytest.fixture
def other() -> Iterator[Upstream]:
    with upstream() as started:
        yield started


def test_the_service_hears_who_is_asking_and_not_what_they_claim(service: Upstream) -> None:
    claims = {
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example",
        "CF-Connecting-IP": "192.0.2.2",
    }
    with running(nginx_mail_upstream=service.address) as nginx:
        heard = nginx.ask("mail", "/anything", headers=claims).body["headers"]
    assert heard["x-forwarded-for"] == "127.0.0.1"
    assert heard["x-forwarded-proto"] == "https"
    assert heard["x-forwarded-host"] == heard["host"] == "mail.example.org"
    assert heard["connection"] == "close"


def test_behind_cloudflare_it_hears_the_address_that_cloudflare_tells(service: Upstream) -> None:
    told = {"CF-Connecting-IP": "192.0.2.2"}
    server = Nginx(nginx_mail_upstream=service.address, nginx_cloudflare=True)
    networks = server.home / "snippets" / "code-du-travail" / "cloudflare.conf"
    server.start()
    assert server.ask("mail", "/", headers=told).body["headers"]["x-forwarded-for"] == "127.0.0.1", "not Cloudflare"
    networks.write_text(networks.read_text() + "set_real_ip_from 127.0.0.1;\n")
    server.reload()
    assert server.ask("mail", "/", headers=told).body["headers"]["x-forwarded-for"] == "192.0.2.2"
    server.stop()


def test_where_nobody_listens_the_answer_is_503_with_a_time_to_come_back() -> None:
    with running(nginx_ai_core_upstreams=[nobody()], nginx_telegram_upstream=nobody()) as nginx:
        for site in ("ai_core", "telegram"):
            reply = nginx.ask(site, "/health", headers={"X-Request-ID": "abc-1"})
            assert reply.status == 503
            assert reply.headers["Retry-After"] == "5"
            assert reply.headers["Cache-Control"] == "no-store"
            assert reply.headers["Strict-Transport-Security"]
            assert reply.body == {
                "code": "service_unavailable",
                "status": 503,
                "message": "The service does not answer now.",
                "request_id": "abc-1",
            }


def test_questions_go_to_the_ai_core_that_answers(service: Upstream, other: Upstream) -> None:
    addresses = [nobody(), service.address, other.address]
    with running(nginx_ai_core_upstreams=addresses) as nginx:
        service.status = 503  # it is loading its model, or its queue is full
        for path in ("/api/v1/chat", "/v1/chat/completions"):
            replies = [nginx.ask("ai_core", path, method="POST", body={}).status for _ in range(10)]
            assert replies == [200] * 10
        assert len(other.seen) == 20


def test_when_every_ai_core_is_busy_its_own_answer_comes_back(service: Upstream) -> None:
    service.status = 503
    with running(nginx_ai_core_upstreams=[service.address]) as nginx:
        for _ in range(3):
            reply = nginx.ask("ai_core", "/api/v1/chat", method="POST", body={})
            assert (reply.status, reply.body["line"]) == (503, "POST /api/v1/chat")


def test_when_all_of_several_are_busy_every_question_hears_so(service: Upstream, other: Upstream) -> None:
    service.status = other.status = 503
    with running(nginx_ai_core_upstreams=[service.address, other.address]) as nginx:
        replies = [nginx.ask("ai_core", "/api/v1/chat", method="POST", body={}).status for _ in range(6)]
        assert replies == [503] * 6
        service.status = 200
        until(lambda: nginx.ask("ai_core", "/api/v1/chat", method="POST", body={}).status == 200)


def test_what_changes_something_is_sent_once(service: Upstream, other: Upstream) -> None:
    service.status = other.status = 503
    with running(nginx_ai_core_upstreams=[service.address, other.address]) as nginx:
        assert nginx.ask("ai_core", "/api/v1/admin/keys", method="POST", body={}).status == 503
    assert len(service.seen) + len(other.seen) == 1


def test_an_address_that_asks_too_often_is_told_to_wait(service: Upstream) -> None:
    slow = {"nginx_requests_per_second": 1, "nginx_requests_burst": 3, "nginx_ai_core_upstreams": [service.address]}
    with running(**slow) as nginx:
        replies = [nginx.ask("ai_core", "/health") for _ in range(8)]
        refused = [reply for reply in replies if reply.status == 429]
        assert replies[0].status == 200
        assert len(refused) >= 2
        assert refused[0].headers["Retry-After"] == "1"
        assert refused[0].body["code"] == "rate_limited"
    with running(**slow, nginx_unlimited_networks=["127.0.0.0/8"]) as nginx:
        assert {nginx.ask("ai_core", "/health").status for _ in range(8)} == {200}, "our own hosts speak for many"


def test_an_address_with_too_many_open_requests_is_told_to_wait(service: Upstream) -> None:
    with running(nginx_mail_upstream=service.address, nginx_connections_per_address=1) as nginx:
        service.held.clear()
        first = nginx.send("mail", "/")
        until(lambda: service.seen)
        reply = nginx.ask("mail", "/")
        service.held.set()
        assert (reply.status, reply.body["code"]) == (429, "rate_limited")
        assert read(first.getresponse()).status == 200


def test_telegram_may_send_more_than_one_client(service: Upstream) -> None:
    slow = {"nginx_requests_per_second": 1, "nginx_requests_burst": 1, "nginx_telegram_upstream": service.address}
    with running(**slow) as nginx:
        statuses = [nginx.ask("telegram", "/webhook", method="POST", body={}).status for _ in range(10)]
        assert statuses == [200] * 10
        assert service.seen == ["POST /webhook"] * 10


def test_webhooks_can_be_taken_from_telegrams_networks_alone(service: Upstream) -> None:
    theirs = ["149.154.160.0/20", "91.108.4.0/22"]
    with running(nginx_telegram_upstream=service.address, nginx_webhook_networks=theirs) as nginx:
        reply = nginx.ask("telegram", "/webhook", method="POST", body={})
        assert (reply.status, reply.body["code"]) == (403, "forbidden")
        assert nginx.ask("telegram", "/health").status == 200
    with running(nginx_telegram_upstream=service.address, nginx_webhook_networks=[*theirs, "127.0.0.1"]) as nginx:
        assert nginx.ask("telegram", "/webhook", method="POST", body={}).status == 200


def test_a_host_without_an_ai_core_has_a_valid_configuration_too() -> None:
    server = Nginx(nginx_ai_core_upstreams=[])
    (server.home / "sites-enabled" / "ai-core.conf").unlink()
    assert server.test().returncode == 0, server.test().stderr
    server.stop()


def test_the_service_of_the_certificates_needs_no_certificate() -> None:
    server = Nginx()
    for site in (server.home / "sites-enabled").iterdir():
        if site.name != "http.conf":
            site.unlink()
    for folder in (server.home / "live").iterdir():
        folder.rename(server.home / folder.name)
    assert server.test().returncode == 0, server.test().stderr
    server.stop()


def test_templates_say_which_variables_they_take_and_the_role_has_them() -> None:
    role = SOURCE.parent / "ansible" / "roles" / "nginx"
    defined = "".join((role / part / "main.yml").read_text(encoding="utf-8") for part in ("defaults", "vars"))
    for template in SOURCE.glob("*/*.j2"):
        text = template.read_text(encoding="utf-8")
        head = text.partition("\n\n")[0]
        for name in meta.find_undeclared_variables(Environment(autoescape=False).parse(text)):  # noqa: S701 - no HTML
            assert name in head, f"{template.name}: {name}"
            assert f"\n{name}:" in defined, f"{template.name}: {name}"
