"""Every route needs a key with a scope, or is on the public list; the list names nothing that is gone."""

from __future__ import annotations

import re

from flask import Flask

from ai_core.api.access import PUBLIC_ENDPOINTS, required_scope
from ai_core.keys import SCOPES


def test_every_route_is_public_or_declares_a_scope(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        public = rule.endpoint in PUBLIC_ENDPOINTS
        scope = required_scope(app, rule.endpoint)
        assert public != (scope in SCOPES), f"{rule.rule} must be either public or behind a scope"


def test_the_public_list_names_routes_that_exist(app: Flask) -> None:
    assert {rule.endpoint for rule in app.url_map.iter_rules()} >= PUBLIC_ENDPOINTS


def test_every_api_route_is_documented(app: Flask) -> None:
    documented = app.test_client().get("/openapi.json").get_json()["paths"]
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith(("pages.", "api-docs.")):
            continue
        path = re.sub(r"<(?:[^:>]*:)?([^>]*)>", r"{\1}", rule.rule)
        assert path in documented, rule.rule


def test_every_keyed_route_documents_its_refusals(app: Flask) -> None:
    paths = app.test_client().get("/openapi.json").get_json()["paths"]
    for path, operations in paths.items():
        for method, operation in operations.items():
            if method == "parameters" or path.startswith("/health"):
                continue
            assert {"401", "403", "429", "500"} <= set(operation["responses"]), path
            assert operation["security"], path
