"""A model that has come is declared in models.json, where it hides nothing that the operator wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ai_core.catalog.downloads.run import Landed
from ai_core.catalog.registry import Registry
from ai_core.downloads import declare
from ai_core.storage import ModelDownload
from tests.ai_core.engine.tiny_model import write_tiny_model


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models.json", tmp_path / "models")


def landed(registry: Registry, name: str = "tiny", **of_download: Any) -> Landed:
    folder = registry.models / name
    folder.mkdir(parents=True)
    write_tiny_model(folder / "tiny.gguf")
    row = ModelDownload(id="d1", **{"model_name": "acme/tiny", "commit": "c" * 40, "format": "gguf", **of_download})
    return Landed(row, folder, folder)


def written(registry: Registry) -> dict[str, Any]:
    models: dict[str, Any] = json.loads(registry.file.read_text())["models"]
    return models


def test_it_is_declared_by_a_path_that_may_move(registry: Registry) -> None:
    assert declare(registry, landed(registry)) == "tiny"
    assert written(registry) == {
        "tiny": {"path": "models/tiny", "format": "gguf", "source": f"acme/tiny@{'c' * 40}", "requires_token": False}
    }
    assert registry.problems() == {}


def test_another_model_of_that_name_keeps_it(registry: Registry, tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "ours.gguf")
    registry.add("tiny", {"path": "ours.gguf"})
    assert declare(registry, landed(registry)) == "acme--tiny"
    assert written(registry)["tiny"] == {"path": "ours.gguf"}


def test_what_the_operator_declared_by_its_name_on_the_hub_stays(registry: Registry) -> None:
    registry.add("chosen", {"path": "acme/tiny", "temperature": 0.2})
    assert declare(registry, landed(registry)) == "chosen"
    assert written(registry) == {"chosen": {"path": "acme/tiny", "temperature": 0.2}}


def test_declared_twice_it_is_there_once(registry: Registry) -> None:
    model = landed(registry)
    assert [declare(registry, model), declare(registry, model)] == ["tiny", "tiny"]
    assert list(written(registry)) == ["tiny"]


def test_an_adapter_is_declared_on_its_base(registry: Registry) -> None:
    adapter = landed(registry, "lawyer", format="lora", model_name="acme/lawyer")
    (adapter.folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "acme/base"}))
    assert declare(registry, adapter) == "lawyer"
    assert written(registry)["lawyer"] == {
        "path": "acme/base", "adapter": "models/lawyer", "source": f"acme/lawyer@{'c' * 40}", "requires_token": False
    }  # fmt: skip
    assert "acme/base is not here yet" in registry.problems()["lawyer"]


def test_an_adapter_of_an_unknown_base_is_left_to_the_operator(registry: Registry) -> None:
    adapter = landed(registry, "lawyer", format="lora", model_name="acme/lawyer")
    (adapter.folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "/home/me/base model"}))
    declare(registry, adapter)
    assert not registry.file.exists()
