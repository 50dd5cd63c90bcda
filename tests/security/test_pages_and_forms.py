"""No other site acts with a visitor's key, and no text becomes markup: forms, cookies, origins, redirects, pages.

What a real browser does with hostile answers is shown in tests/browser/test_trust.py.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ai_core.api import pages
from tests.fakes import Core
from tests.security.hostile_texts import MARKUP
from tests.security.services import WEBHOOK_SECRET, Service, running

STATIC = pages.PACKAGE / "static"
TEMPLATES = sorted((pages.PACKAGE / "templates").glob("*.html"))
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain")
ELSEWHERE = "https://evil.example"


def every_route(service: Service) -> list[tuple[str, str]]:
    """Method and an address for each."""
    return [
        (method, re.sub("<[^>]*>", "1", rule.rule))
        for rule in service.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    ]


def test_nothing_sets_or_reads_a_cookie(service: Service) -> None:
    """So there is nothing that a browser would send along by itself: the key is in a header, or there is none."""
    _, key = service.make_key()
    for method, path in every_route(service):
        for headers in ({}, {"X-API-Key": key}):
            answer = service.client().open(path, method=method, headers=headers)
            assert "Set-Cookie" not in answer.headers, path
    for cookie in ("X-API-Key", "key", "api_key", "session", "Authorization"):
        client = service.client()
        client.set_cookie(cookie, key)
        assert client.get(service.path).status_code in (401, 429)
        assert client.get(f"{service.path}?api_key={key}&key={key}&X-API-Key={key}").status_code in (401, 429)


def test_a_form_of_another_site_changes_nothing(service: Service) -> None:
    """What a page elsewhere can send without asking first (CORS, "simple request") is refused even with a key."""
    _, key = service.make_key()
    paths = {"ai_core": "/api/v1/admin/keys", "telegram_service": "/webhook", "mail_service": "/api/v1/people/erase"}
    for kind in FORMS:
        for headers in ({"Origin": ELSEWHERE}, {"Origin": ELSEWHERE, "X-API-Key": key}):
            answer = service.client().post(
                paths[service.name], data=b'{"name": "x", "scopes": ["admin"]}', content_type=kind, headers=headers
            )
            assert answer.status_code in (400, 401, 415), kind
    secret = {"X-Telegram-Bot-Api-Secret-Token": WEBHOOK_SECRET}
    if service.name == "telegram_service":
        answer = service.client().post("/webhook", data=b'{"update_id": 1}', content_type="text/plain", headers=secret)
        assert answer.status_code == 415


def test_no_other_site_reads_an_answer(service: Service) -> None:
    _, key = service.make_key()
    for origin in (ELSEWHERE, "null", "https://localhost.evil.example", "http://127.0.0.1"):
        asking = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-api-key",
        }
        for answer in (
            service.client().options(service.path, headers=asking),
            service.ask(key, Origin=origin),
            service.ask(None, Origin=origin),
        ):
            assert not [name for name, _ in answer.headers if name.lower().startswith("access-control-allow")]


AWAY = ("//evil.example", "//evil.example/..", "/\\evil.example", "/%2f%2fevil.example/", "///")


def test_no_redirect_leads_elsewhere(service: Service) -> None:
    for path in AWAY:
        answer = service.client().get(path, headers={"X-Forwarded-Host": "evil.example"})
        place = answer.headers.get("Location", "/")
        assert re.match(r"/(?![/\\])|http://localhost(/|$)", place), (path, place)


def test_errors_are_never_markup(service: Service) -> None:
    _, key = service.make_key()
    for text in MARKUP:
        for path in (f"/{text}", f"{service.path}/{text}", f"{service.path}?limit={text}"):
            answer = service.client().get(path, headers={"X-API-Key": key})
            if answer.status_code >= 400:
                assert answer.mimetype == "application/json"
                assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_page_gives_nothing_back_of_its_address(core: Core) -> None:
    client = core.app.test_client()
    for path in ("/", "/admin/ui", "/docs"):
        plain = client.get(path).data
        for text in MARKUP:
            query: dict[str, Any] = {"lang": text, "key": text, "q": text, "next": text}
            assert client.get(path, query_string=query).data == plain, path


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_have_no_script_style_or_handler_of_their_own(template: Path) -> None:
    source = template.read_text(encoding="utf-8")
    assert not re.search(r"\son\w+\s*=|\sstyle\s*=|<style|javascript:|\|\s*safe|autoescape", source)
    for attributes, content in re.findall(r"<script([^>]*)>(.*?)</script>", source, re.DOTALL):
        assert 'type="application/json"' in attributes or not content.strip()
    for address in re.findall(r'(?:src|href|action)="([^"]*)"', source):
        assert re.match(r"/(?!/)|[#?]|\{\{", address), address


def test_texts_in_a_page_end_no_script(core: Core) -> None:
    """Jinja's tojson escapes them: shown with one that would."""
    with core.app.app_context():
        from flask import render_template_string

        told = render_template_string("<script>{{ texts | tojson }}</script>", texts={"a": "</script><b>&'"})
    assert told.count("</script>") == 1
    assert "<b>" not in told


@pytest.mark.parametrize("script", sorted(STATIC.rglob("*.js")), ids=lambda path: str(path.relative_to(STATIC)))
def test_no_script_parses_markup_or_code(script: Path) -> None:
    code = script.read_text(encoding="utf-8")
    for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc"):
        assert sink not in code
    assert not re.search(r"setTimeout\(\s*['\"`]|location\s*=\s*[^=]|\.cookie", code)


def test_the_preview_of_a_letter_runs_nothing(tmp_path: Path) -> None:
    with running("mail_service", tmp_path) as service:
        _, key = service.make_key()
        assert service.client().get("/api/v1/templates/answer/preview").status_code == 401
        answer = service.client().get("/api/v1/templates/answer/preview", headers={"X-API-Key": key})
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "script" not in answer.headers["Content-Security-Policy"]
