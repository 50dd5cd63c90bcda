from __future__ import annotations

import os
from pathlib import Path

import pytest

from ai_core.catalog.converter import ConverterMissing, bring_converter
from ai_core.catalog.job import Job, JobStatus
from tests.ai_core.catalog.gguf_files import write_f16_model
from tests.ai_core.engine.backends.transformers.tiny_hub_model import write_hub_model
from tests.ai_core.engine.tiny_model import write_tiny_model

KEPT = Path(__file__).resolve().parents[3] / "build" / "converter"


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="session")
def f16_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large enough for its quantisation to take some steps."""
    return write_f16_model(tmp_path_factory.mktemp("gguf") / "small-f16.gguf", layers=4)


@pytest.fixture(scope="session")
def hub_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama in safetensors, f32, as the Hub has it."""
    return write_hub_model(tmp_path_factory.mktemp("hub") / "tiny-llama")


@pytest.fixture(scope="session")
def converter_data_dir() -> Path:
    """A DATA_DIR with llama.cpp's converter, brought by pip as the product does it and kept for the next run."""
    job = Job("bring the converter", lambda progress: bring_converter(KEPT, None, progress))
    job.start()
    job.wait()
    if job.status is not JobStatus.DONE:
        if os.environ.get("CI") == "true":
            raise ConverterMissing(job.error)
        pytest.skip(f"the converter cannot be brought here: {job.error}")
    return KEPT
