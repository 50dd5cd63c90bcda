"""schemathesis reads /openapi.json and tries to break every route: no 500, no undocumented status, no leak.

With one key of each scope, and without any.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from ai_core.storage import database_proxy
from tests.fakes import build_core

# What OpenAPI cannot say: top_logprobs needs logprobs, stream_options needs stream, the last message is the user's; and
# which parameters the loaded model's format can honour.
RULES_BEYOND_THE_SCHEMA = frozenset({"/v1/chat/completions", "/v1/completions", "/api/v1/chat", "/api/v1/generate"})

_directory = tempfile.TemporaryDirectory(prefix="contract-")
_core = build_core(
    Path(_directory.name),
    RATE_LIMIT_PER_MINUTE="1000000",
    RATE_LIMIT_GLOBAL_PER_MINUTE="1000000",
    RATE_LIMIT_USER_PER_MINUTE="1000000",
    AUTH_FAILURES_PER_MINUTE="1000000",
)
_core.install_code({"L1234-1": "Le préavis est d'un mois.", "R1234-2": "La lampe est verte."})
_keys = {scope: _core.key(scope) for scope in ("chat", "models", "admin", "metrics")}
schema = schemathesis.openapi.from_wsgi("/openapi.json", _core.app)


@pytest.fixture(autouse=True)
def database_of_the_contract() -> None:
    """The tables are where this application's keys are, whatever other tests have bound them to since."""
    database_proxy.initialize(_core.parts.database)


@pytest.mark.parametrize("scope", [*_keys, "none"])
@schema.parametrize()
@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_route_keeps_its_contract(case: Case[Any], scope: str) -> None:
    # The key that asks must survive: rotating or revoking it would turn every later answer into a 401.
    case.headers.pop("X-API-Key", None)
    case.headers.pop("Authorization", None)
    if scope in _keys:
        case.headers["X-API-Key"] = _keys[scope]
    if case.path_parameters and str(case.path_parameters.get("key_id")) in {"1", "2", "3", "4"}:
        case.path_parameters["key_id"] = 5
    response = case.call()
    assert response.status_code < 500 or (response.status_code == 503 and "retry-after" in response.headers)
    assert scope == "none" or response.status_code != 401, "the keys are known"
    # ignored_auth cannot see that our header wins; not_a_server_error takes "come back later" for a failure.
    excluded = [ignored_auth, not_a_server_error]
    if case.operation.path in RULES_BEYOND_THE_SCHEMA:
        excluded.append(positive_data_acceptance)
    case.validate_response(response, excluded_checks=excluded)
    for key in _keys.values():
        assert key not in response.text
