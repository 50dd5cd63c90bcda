"""The AI core over SQLite and over PostgreSQL, with an administrator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.fakes import Core, build_core


class Administrator:
    """Calls /api/v1/admin with a key that may, or with one of other `scopes`."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.client = core.app.test_client()
        self.headers = core.headers("admin")

    def get(self, path: str, **query: Any) -> TestResponse:
        return self.client.get(f"/api/v1/admin/{path}", headers=self.headers, query_string=query)

    def post(self, path: str, body: Any = None) -> TestResponse:
        return self.client.post(f"/api/v1/admin/{path}", headers=self.headers, json={} if body is None else body)

    def delete(self, path: str) -> TestResponse:
        return self.client.delete(f"/api/v1/admin/{path}", headers=self.headers)

    def outcomes(self) -> list[tuple[str, str, str]]:
        """Action, target and outcome of every entry of the audit log, oldest first."""
        entries = self.get("audit", limit=1000).get_json()["entries"]
        return [(entry["action"], entry["target"], entry["outcome"]) for entry in reversed(entries)]


@pytest.fixture
def everywhere(tmp_path: Path, database_url: str) -> Iterator[Core]:
    """The AI core, once over SQLite and once over PostgreSQL."""
    built = build_core(tmp_path, DATABASE_URL=database_url, SECRET_KEY="s" * 40)
    yield built
    built.parts.model.stop()
    built.parts.operations.usage.stop()


@pytest.fixture
def administrator(everywhere: Core) -> Administrator:
    return Administrator(everywhere)
