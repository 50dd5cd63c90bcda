"""Fixtures that several packages of tests share."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from common.database import SQLITE_PRAGMAS
from tests.fakes import Core, build_core
from tests.log_watch import WATCH


def pytest_configure(config: pytest.Config) -> None:
    """Watch the logs of the whole run. Databases of this process skip the waits for the disk: no power cut comes."""
    config.pluginmanager.register(WATCH, "log-watch")
    SQLITE_PRAGMAS["synchronous"] = "off"


def pytest_collection_finish() -> None:
    """What was collected stays to the end: each model that is unloaded would look through all of it for garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    """The AI core around a scripted model, without the Code du travail."""
    built = build_core(tmp_path)
    yield built
    built.parts.model.stop()


@pytest.fixture
def app(core: Core) -> Flask:
    """The application of `core`."""
    return core.app
