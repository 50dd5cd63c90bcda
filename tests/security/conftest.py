"""The three services, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import Core, build_core
from tests.security.services import MANY, NAMES, Service, running


@pytest.fixture(params=NAMES)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    """Each of the three in turn."""
    with running(request.param, tmp_path) as started:
        yield started


@pytest.fixture
def patient_core(tmp_path: Path) -> Iterator[Core]:
    """The AI core without limits on how often it is asked."""
    core = build_core(tmp_path, SECRET_KEY="s" * 40, **MANY)
    yield core
    core.parts.model.stop()
    core.parts.operations.usage.stop()
