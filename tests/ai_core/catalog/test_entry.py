"""A declared model: what is wrong with a declaration is said with the name of the field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from ai_core.catalog.entry import ModelEntry
from ai_core.catalog.errors import CatalogError, InvalidEntry
from ai_core.catalog.formats import Format
from tests.ai_core.catalog.gguf_files import split_in_two, write_gguf

HERE = Path("model.gguf")
SERVER = "http://127.0.0.1:8080/v1"


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("id", {"id": "a/b"}),
        ("id", {"id": ""}),
        ("id", {"id": "-x"}),
        ("path", {"path": None}),
        ("context_length", {"context_length": 0}),
        ("threads", {"threads": 10_000}),
        ("urls", {"urls": (SERVER,)}),
        ("remote_key", {"remote_key": "secret"}),
        ("adapters", {"adapters": {"../x": HERE}}),
        ("adapters", {"format": Format.ONNX, "adapters": {"x": HERE}}),
        ("path", {"format": Format.REMOTE, "urls": (SERVER,)}),
        ("urls", {"format": Format.REMOTE, "path": None}),
        ("urls", {"format": Format.REMOTE, "path": None, "urls": ("ftp://host/v1",)}),
        ("urls", {"format": Format.REMOTE, "path": None, "urls": ("http://user:secret@host/v1",)}),
        ("threads", {"format": Format.REMOTE, "path": None, "urls": (SERVER,), "threads": 2}),
        ("adapters", {"format": Format.REMOTE, "path": None, "urls": (SERVER,), "adapters": {"x": HERE}}),
    ],
)
def test_a_wrong_declaration_names_its_field(field: str, values: dict[str, Any]) -> None:
    with pytest.raises(InvalidEntry, match=f"^{field}: ") as caught:
        ModelEntry(**{"id": "m", "format": Format.GGUF, "path": HERE, **values})
    assert caught.value.field == field
    assert "secret" not in str(caught.value)


def test_the_key_of_a_server_is_not_shown() -> None:
    entry = ModelEntry("m", Format.REMOTE, urls=(SERVER,), remote_key="secret")
    assert "secret" not in repr(entry)


def test_a_file_becomes_an_entry_named_after_it(tiny_gguf: Path, tmp_path: Path) -> None:
    path = tmp_path / "Mon modèle Q4.gguf"
    path.write_bytes(tiny_gguf.read_bytes())
    entry = ModelEntry.from_path(path, context_length=1024)
    assert (entry.id, entry.format, entry.path) == ("Mon-mod-le-Q4", Format.GGUF, path)
    first, _ = split_in_two(tiny_gguf, tmp_path)
    assert ModelEntry.from_path(first).id == "model"


def test_a_file_of_weights_stands_for_its_folder(hub_folder: Path) -> None:
    entry = ModelEntry.from_path(hub_folder / "model.safetensors")
    assert (entry.format, entry.path, entry.id) == (Format.SAFETENSORS, hub_folder, "tiny-llama")


def test_files_that_are_not_what_the_entry_says_are_refused(tiny_gguf: Path, hub_folder: Path, tmp_path: Path) -> None:
    for field, entry in (
        ("path", ModelEntry("m", Format.GGUF, tmp_path / "gone.gguf")),
        ("format", ModelEntry("m", Format.ONNX, tiny_gguf)),
        ("format", ModelEntry("m", Format.GGUF, hub_folder)),
        ("path", ModelEntry("m", Format.SAFETENSORS, hub_folder / "model.safetensors")),
        ("adapters", ModelEntry("m", Format.GGUF, tiny_gguf, adapters={"law": tmp_path / "gone"})),
        ("adapters", ModelEntry("m", Format.GGUF, tiny_gguf, adapters={"law": tiny_gguf})),
    ):
        with pytest.raises(InvalidEntry, match=f"^{field}: "):
            entry.check_files()


def test_an_adapter_must_be_of_its_models_kind(tiny_gguf: Path, hub_folder: Path, tmp_path: Path) -> None:
    lora = write_gguf(tmp_path / "lora.gguf", kind="adapter")
    peft = tmp_path / "peft"
    peft.mkdir()
    (peft / "adapter_config.json").write_text("{}")
    save_file({"a": np.ones(2, np.float32)}, peft / "adapter_model.safetensors")
    ModelEntry("m", Format.GGUF, tiny_gguf, adapters={"law": lora}).check_files()
    ModelEntry("m", Format.SAFETENSORS, hub_folder, adapters={"law": peft}).check_files()
    for entry in (
        ModelEntry("m", Format.GGUF, tiny_gguf, adapters={"law": peft}),
        ModelEntry("m", Format.SAFETENSORS, hub_folder, adapters={"law": lora}),
    ):
        with pytest.raises(InvalidEntry, match=r"^adapters: law: on a (gguf|safetensors) model give"):
            entry.check_files()


def test_what_is_no_model_does_not_become_an_entry(tmp_path: Path) -> None:
    with pytest.raises(CatalogError):
        ModelEntry.from_path(tmp_path)
