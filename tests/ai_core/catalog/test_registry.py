"""models.json as operators write it, and as the earlier system left it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ai_core.catalog.declaration import Declaration
from ai_core.catalog.entry import ModelEntry
from ai_core.catalog.formats import Format
from ai_core.catalog.registry import Registry, RegistryError
from tests.ai_core.engine.tiny_model import write_tiny_adapter, write_tiny_model

EARLIER = {
    "type": "transformers",
    "path": "owner/Model-7B",
    "format": "safetensor",
    "device": "cpu",
    "quantization": "none",
    "max_memory": "2GB",
    "context_length": 64,
    "temperature": 0.7,
    "top_p": 0.9,
    "max_tokens": 512,
    "requires_token": True,
    "trust_remote_code": True,
}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    write_tiny_model(tmp_path / "tiny.gguf")
    return Registry(tmp_path / "models.json", tmp_path / "models")


def write(registry: Registry, *, default: str | None = None, **models: Any) -> None:
    content = {"models": models, **({} if default is None else {"default_model": default})}
    registry.file.write_text(json.dumps(content), encoding="utf-8")


def test_without_a_file_there_is_nothing_and_nothing_is_wrong(registry: Registry) -> None:
    assert (registry.all(), registry.problems(), registry.default_model) == ({}, {}, None)


def test_a_declared_model_has_its_entry_and_its_presets(registry: Registry) -> None:
    write(registry, ours={"path": "tiny.gguf", "context_length": 128, "temperature": 0.2, "max_tokens": 300})
    declared = registry.all()["ours"]
    assert declared.entry is not None
    assert (declared.entry.format, declared.entry.path) == (Format.GGUF, registry.file.parent / "tiny.gguf")
    assert declared.entry.context_length == 128
    assert dict(declared.preset) == {"temperature": 0.2, "max_length": 300}


def test_an_invalid_entry_is_named_and_hides_no_other(registry: Registry) -> None:
    write(
        registry,
        good={"path": "tiny.gguf"},
        missing={"path": "nowhere.gguf"},
        odd={"path": "tiny.gguf", "threads": "two"},
        wrong={"path": "tiny.gguf", "format": "onnx"},
        nothing=7,
        load={"path": "tiny.gguf"},
        **{"with/slash": {"path": "tiny.gguf"}},  # type: ignore[arg-type]
    )
    problems = registry.problems()
    assert set(problems) == {"missing", "odd", "wrong", "nothing", "with/slash", "load"}
    assert "threads" in problems["odd"]
    assert "onnx" in problems["wrong"]
    assert registry.all()["good"].entry is not None


def test_what_the_earlier_system_declared_is_understood(registry: Registry) -> None:
    write(registry, default="seven", seven=EARLIER, tuned={**EARLIER, "adapter": "owner/Tuned"})
    seven = registry.all()["seven"]
    assert "not here yet" in str(seven.problem)
    assert seven.requires_token
    assert dict(seven.preset) == {"temperature": 0.7, "top_p": 0.9, "max_length": 512}
    assert any("trust_remote_code" in note for note in seven.notes)
    assert registry.default_model == "seven"
    (registry.models / "Model-7B").mkdir(parents=True)
    write_tiny_model(registry.models / "Model-7B" / "tiny.gguf")
    found = registry.all()["seven"]
    assert found.entry is not None
    assert found.entry.format is Format.GGUF
    assert "Tuned" in str(registry.all()["tuned"].problem)  # never the bare base


def test_an_adapter_is_part_of_the_model(registry: Registry) -> None:
    write_tiny_adapter(registry.file.parent / "droit.gguf", seed=1)
    write(registry, tuned={"path": "tiny.gguf", "adapter": "droit.gguf"})
    entry = registry.all()["tuned"].entry
    assert entry is not None
    assert (entry.default_adapter, list(entry.adapters)) == ("droit", ["droit"])


def test_a_change_is_seen_at_once_and_a_broken_file_leaves_what_was_there(registry: Registry) -> None:
    write(registry, one={"path": "tiny.gguf"})
    assert list(registry.all()) == ["one"]
    write(registry, two={"path": "tiny.gguf"})
    os.utime(registry.file, (1, 1))
    assert list(registry.all()) == ["two"]
    for broken in ('{"models": {"thr', "[]", '{"models": []}', "\udcff".encode("utf-8", "surrogateescape")):
        data = broken if isinstance(broken, bytes) else broken.encode()
        registry.file.write_bytes(data)
        assert list(registry.all()) == ["two"]
        assert "models.json" in registry.problems()
    write(registry, three={"path": "tiny.gguf"})
    assert list(registry.all()) == ["three"]
    assert registry.problems() == {}


def test_adding_and_removing_keeps_what_else_is_there_with_a_copy_of_the_file_before(registry: Registry) -> None:
    registry.file.write_text(json.dumps({"models": {"a": {"path": "tiny.gguf"}}, "theirs": 1, "default_model": "b"}))
    registry.add("b", {"path": "tiny.gguf", "format": "gguf"})
    assert list(registry.all()) == ["a", "b"]
    registry.remove("b")
    content = json.loads(registry.file.read_text())
    assert content == {"models": {"a": {"path": "tiny.gguf"}}, "theirs": 1}
    assert registry.file.stat().st_mode & 0o777 == 0o640
    copies = sorted(registry.file.parent.glob("models.json.*.bak"))
    assert [list(json.loads(copy.read_text())["models"]) for copy in copies] == [["a"], ["a", "b"]]


def test_a_file_that_is_no_registry_is_not_overwritten(registry: Registry) -> None:
    registry.file.write_text("[1, 2]")
    with pytest.raises(RegistryError):
        registry.add("b", {"path": "tiny.gguf"})
    assert registry.file.read_text() == "[1, 2]"


def test_what_lies_in_the_folder_is_listed_once(registry: Registry) -> None:
    (registry.models / "fetched").mkdir(parents=True)
    (registry.models / ".downloads").mkdir()
    (registry.models / "odd").mkdir()
    path = write_tiny_model(registry.models / "fetched" / "tiny.gguf")
    assert registry.all()["fetched"].entry is not None
    assert registry.all()["odd"].problem is not None
    assert ".downloads" not in registry.all()
    write(registry, ours={"path": str(path.parent)})
    assert set(registry.all()) == {"ours", "odd"}


def test_the_settings_win(tmp_path: Path, registry: Registry) -> None:
    named = Declaration.of_entry(ModelEntry.from_path(tmp_path / "tiny.gguf", context_length=77), "settings")
    both = Registry(registry.file, registry.models, [named])
    write(registry, tiny={"path": "tiny.gguf"})
    entry = both.all()["tiny"].entry
    assert entry is not None
    assert entry.context_length == 77


def test_only_our_own_folder_is_ours(registry: Registry, tmp_path: Path) -> None:
    registry.models.mkdir()
    (registry.models / "link").symlink_to(tmp_path)
    assert registry.owns(registry.models / "a" / "b.gguf")
    for other in (registry.models, tmp_path / "tiny.gguf", registry.models / "link" / "tiny.gguf"):
        assert not registry.owns(other)
        assert not registry.owns(registry.models / ".." / "tiny.gguf")
