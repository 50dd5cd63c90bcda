from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_core.engine.backends.llama_cpp import LlamaCppBackend
from ai_core.engine.engine import Engine
from tests.ai_core.engine.tiny_model import CONTEXT, write_tiny_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture(params=["separate caches", "one cache"])
def llama(tiny_model: Path, request: pytest.FixtureRequest) -> Iterator[LlamaCppBackend]:
    """Sixteen slots, each with a cache of its own, or all in one that is a little smaller."""
    separate = request.param == "separate caches"
    backend = LlamaCppBackend(tiny_model, slots=16, threads=1, cells=16 * CONTEXT - (0 if separate else 256))
    assert backend.limits.separate is separate
    yield backend
    backend.close()


@pytest.fixture
def llama_engine(llama: LlamaCppBackend) -> Iterator[Engine]:
    engine = Engine(llama)
    engine.start()
    yield engine
    engine.stop()
