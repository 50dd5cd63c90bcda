"""OpenAI's own client over HTTP, and the models that stand behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from ai_core.catalog.entry import ModelEntry
from tests.ai_core.api.openai_compat.loopback import client_of, served
from tests.ai_core.engine.tiny_model import write_tiny_adapter, write_tiny_model
from tests.fakes import Core, build_core


@pytest.fixture
def address(core: Core) -> Iterator[str]:
    with served(core) as address:
        yield address


@pytest.fixture
def client(core: Core, address: str) -> openai.OpenAI:
    """A client of the scripted model, which answers "Bonjour."."""
    return client_of(core, address)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Core, openai.OpenAI]]:
    """A real model, `tiny`, with random weights and one adapter, `droit`; and a client of it."""
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny_model(folder / "tiny.gguf")
    write_tiny_adapter(folder / "droit.gguf", seed=3)
    model = ModelEntry.from_path(folder / "tiny.gguf", adapters={"droit": folder / "droit.gguf"})
    core = build_core(folder / "data", model=model, context_length=2048, RATE_LIMIT_PER_MINUTE="1000")
    with served(core) as address:
        yield core, client_of(core, address)
    core.parts.model.stop()


@pytest.fixture
def model(tiny: tuple[Core, openai.OpenAI]) -> openai.OpenAI:
    """A client of the real model."""
    return tiny[1]


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[tuple[Core, openai.OpenAI]]:
    """No model is loaded."""
    core = build_core(tmp_path, started=False)
    with served(core) as address:
        yield core, client_of(core, address)
    core.parts.model.stop()
