"""The model that the settings name is the one that serves; one that is none leaves the service up, to say so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ai_core.catalog.declaration import Declaration
from ai_core.catalog.formats import Format
from ai_core.composition import begin_to_load, compose, first_model
from ai_core.model_state import ModelStatus
from ai_core.settings import Settings
from tests.ai_core.engine.tiny_model import write_tiny_adapter, write_tiny_model

HEAVY = ("torch", "transformers", "peft", "onnxruntime", "tokenizers", "llama_cpp", "gguf")


def test_a_file_with_its_adapters_serves_under_its_name(tmp_path: Path) -> None:
    model, adapter = write_tiny_model(tmp_path / "tiny.gguf"), write_tiny_adapter(tmp_path / "a.gguf", seed=1)
    settings = Settings.from_environment(
        {"DATA_DIR": str(tmp_path / "data"), "MODEL_FILE": str(model), "MODEL_ADAPTERS": f"droit={adapter}"}
    )
    parts = compose(settings)
    host = parts.model
    begin_to_load(settings, host, parts.registry)
    assert host.wait(30)
    assert host.current().id == "tiny"
    assert host.current().entry.adapters == {"droit": adapter}
    host.stop()


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>", b"GGUF cut off"])
def test_a_file_that_is_no_model_leaves_the_service_up_with_the_reason(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.gguf").write_bytes(content)
    settings = Settings.from_environment(
        {"DATA_DIR": str(tmp_path / "data"), "MODEL_FILE": str(tmp_path / "broken.gguf")}
    )
    parts = compose(settings)
    host = parts.model
    begin_to_load(settings, host, parts.registry)
    state = host.states.get("broken")
    assert state.status is ModelStatus.ERROR
    assert "broken.gguf" in str(state.error)


def test_servers_are_named_after_the_model_they_have(tmp_path: Path) -> None:
    variables = {
        "DATA_DIR": str(tmp_path),
        "REMOTE_URLS": "http://gpu-1:8000/v1, http://gpu-2:8000/v1",
        "REMOTE_MODEL": "meta-llama/Llama-3.1-8B",
    }
    settings = Settings.from_environment(variables)
    entry = first_model(settings, compose(settings).registry).entry
    assert entry is not None
    assert (entry.id, entry.format) == ("meta-llama-Llama-3.1-8B", Format.REMOTE)
    assert entry.remote_model == "meta-llama/Llama-3.1-8B"
    assert len(entry.urls) == 2


def first(data_dir: Path, **variables: str) -> Declaration:
    settings = Settings.from_environment({"DATA_DIR": str(data_dir), **variables})
    return first_model(settings, compose(settings).registry)


def test_the_first_model_is_that_of_the_settings_else_the_default_of_models_json_else_the_embedded_one(
    tmp_path: Path,
) -> None:
    model = write_tiny_model(tmp_path / "tiny.gguf")
    assert first(tmp_path).id == "code-du-travail-demo"
    (tmp_path / "models.json").write_text('{"models": {"ours": {"path": "tiny.gguf"}}, "default_model": "ours"}')
    assert first(tmp_path).id == "ours"
    assert first(tmp_path, MODEL_FILE=str(model)).id == "tiny"
    (tmp_path / "models.json").write_text('{"models": {}, "default_model": "theirs"}')
    missing = first(tmp_path)
    assert (missing.id, missing.entry) == ("theirs", None)
    assert "models.json" in str(missing.problem)


def test_the_application_is_there_without_any_library_of_models() -> None:
    program = f"import sys, ai_core.app, ai_core.composition; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
