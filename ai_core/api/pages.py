"""The pages that people see: the chat at `/`, the operator's page at `/admin/ui` and Swagger UI at `/docs`, with every
file from our own host.

The pages hold no data and need no key; the key stays in the browser and goes only to the API.
"""

from __future__ import annotations

import importlib.util
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, make_response, render_template, request, send_from_directory

PACKAGE = Path(__file__).resolve().parent.parent
TEXTS = PACKAGE / "templates" / "texts"
LANGUAGES = ("fr", "en")  # the first one is the default
OPERATORS_SECTIONS = ("overview", "models", "downloads", "keys", "logs", "audit")

# Swagger UI comes in the package swagger-ui-py; these are the only files of it that a browser needs.
SWAGGER_PACKAGE = "swagger_ui"
SWAGGER_FILES = frozenset({"swagger-ui.css", "swagger-ui-bundle.js"})

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# Trusted Types make the browser itself refuse innerHTML and its like: what a model writes can only become text.
# Swagger UI (React, DOMPurify) cannot live with them; it needs nothing else beyond the policy above.
CHAT_POLICY = POLICY + "; require-trusted-types-for 'script'; trusted-types 'none'"

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Files keep their names between releases, so a browser asks each time; the answer is mostly an empty 304.
    "Cache-Control": "no-cache",
}

blueprint = Blueprint("pages", __name__, template_folder=str(PACKAGE / "templates"))


@blueprint.get("/")
def chat() -> Response:
    """The chat page, in French unless `?lang=en` asks otherwise."""
    language, other = _languages()
    page = render_template("chat.html", language=language, other_language=other, texts=texts(language))
    return _page(page, CHAT_POLICY)


@blueprint.get("/admin/ui")
def admin() -> Response:
    """The operator's page: what it shows comes from the API, with the operator's key."""
    language, other = _languages()
    content = {**texts(language), **texts(f"admin_{language}")}
    page = render_template(
        "admin.html", language=language, other_language=other, texts=content, sections=OPERATORS_SECTIONS
    )
    return _page(page, CHAT_POLICY)


@blueprint.get("/docs")
def docs() -> Response:
    """Swagger UI over /openapi.json."""
    return _page(render_template("docs.html", texts=texts(LANGUAGES[0])), POLICY)


@blueprint.get("/docs/assets/<name>")
def docs_asset(name: str) -> Response:
    """One of Swagger UI's own files."""
    if name not in SWAGGER_FILES:
        abort(404)
    return send_from_directory(_swagger_folder(), name)


@blueprint.get("/assets/<path:name>")
def asset(name: str) -> Response:
    """A style sheet, script or image of our pages."""
    return send_from_directory(PACKAGE / "static", name)


@blueprint.after_request
def _secure(response: Response) -> Response:
    response.headers.update(HEADERS)
    # An asset opened on its own (an SVG image is a document) may do nothing.
    response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    return response


@lru_cache(maxsize=2 * len(LANGUAGES))
def texts(file: str) -> dict[str, Any]:
    """What the pages say, by name: the same file serves the templates and the scripts."""
    content: dict[str, Any] = json.loads((TEXTS / f"{file}.json").read_text(encoding="utf-8"))
    return content


def _languages() -> tuple[str, str]:
    """The page's language, and the one that it offers instead."""
    asked = request.args.get("lang")
    language = asked if asked in LANGUAGES else LANGUAGES[0]
    return language, next(name for name in LANGUAGES if name != language)


def _page(html: str, policy: str) -> Response:
    response = make_response(html)
    response.headers["Content-Security-Policy"] = policy
    return response


@lru_cache(maxsize=1)
def _swagger_folder() -> Path:
    # Found without importing it: the package's code is an integration that we do not use.
    spec = importlib.util.find_spec(SWAGGER_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("Swagger UI is not installed: pip install swagger-ui-py")
    return Path(spec.submodule_search_locations[0]) / "static"
