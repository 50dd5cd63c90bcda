"""The three services, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ai_core.conftest import database_url, postgres_server
from tests.security.services import NAMES, Service, running

__all__ = ["database_url", "postgres_server"]


@pytest.fixture(params=NAMES)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    """Each of the three in turn."""
    with running(request.param, tmp_path) as started:
        yield started
