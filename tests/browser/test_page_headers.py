"""What the pages' responses tell a browser to refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from ai_core.api import pages
from common.errors import register_error_handlers


@pytest.fixture
def client() -> FlaskClient:
    app = Flask("pages", static_folder=None)
    app.register_blueprint(pages.blueprint)
    register_error_handlers(app)
    return app.test_client()


@pytest.mark.parametrize("path", ["/", "/?lang=en", "/?lang=xx", "/docs", "/admin/ui", "/admin/ui?lang=en"])
def test_a_page_runs_only_our_own_files(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    policy = dict(part.split(" ", 1) for part in response.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert response.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/assets/icon.svg", "/assets/chat/main.js", "/docs/assets/swagger-ui.css"]
)
def test_every_file_keeps_its_type_and_is_asked_for_again(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-cache"
    assert "Permissions-Policy" in response.headers
    assert "Content-Security-Policy" in response.headers


def test_an_unchanged_file_is_not_sent_twice(client: FlaskClient) -> None:
    first = client.get("/assets/chat.css")
    again = client.get("/assets/chat.css", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    "path",
    ["/assets/../api/pages.py", "/assets/%2e%2e/app.py", "/docs/assets/index.html", "/docs/assets/..%2f__init__.py"],
)
def test_no_other_file_is_served(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_both_languages_say_the_same_things() -> None:
    french, english = ({**pages.texts(language), **pages.texts(f"admin_{language}")} for language in pages.LANGUAGES)
    assert list(french) == list(english)


def test_the_page_preloads_every_module(client: FlaskClient) -> None:
    modules = {path.name for path in (pages.PACKAGE / "static" / "chat").glob("*.js")}
    page = client.get("/").text
    assert modules == {Path(line.split('"')[-2]).name for line in page.splitlines() if "/assets/chat/" in line}


def test_no_script_parses_markup() -> None:
    for path in (pages.PACKAGE / "static" / "chat").glob("*.js"):
        code = path.read_text(encoding="utf-8")
        for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert sink not in code, f"{path.name} uses {sink}"
