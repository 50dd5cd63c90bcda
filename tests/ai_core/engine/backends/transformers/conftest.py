from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ai_core.engine.backends.transformers import TransformersBackend
from tests.ai_core.engine.backends.transformers.tiny_hub_model import write_hub_model

Load = Callable[..., TransformersBackend]


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hub_model(tmp_path_factory.mktemp("hub") / "tiny-llama")


@pytest.fixture(scope="session")
def qwen_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hub_model(tmp_path_factory.mktemp("hub") / "tiny-qwen", "Qwen2", shard="100KB")


@pytest.fixture
def load() -> Iterator[Load]:
    """Loads a folder, on one thread; everything loaded is closed at the end."""
    threads = torch.get_num_threads()
    loaded: list[TransformersBackend] = []

    def load(path: Path, **options: Any) -> TransformersBackend:
        loaded.append(TransformersBackend(path, **{"threads": 1, **options}))
        return loaded[-1]

    yield load
    for backend in loaded:
        backend.close()
    torch.set_num_threads(threads)


@pytest.fixture
def llama(load: Load, llama_folder: Path) -> TransformersBackend:
    return load(llama_folder)
