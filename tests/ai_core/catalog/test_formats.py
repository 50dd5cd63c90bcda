"""The format of a model is what its files contain, and whatever else they contain is said in one line."""

from __future__ import annotations

import contextlib
import json
import pickle
import struct
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from ai_core.catalog.errors import AdapterNotModel, BrokenModel, CatalogError, UnknownFormat
from ai_core.catalog.formats import Format, detect, formats_in, is_adapter
from ai_core.catalog.gguf_header import read_header
from tests.ai_core.catalog.gguf_files import split_in_two, write_gguf

WEIGHTS = {"a": np.ones((4, 8), np.float32), "b": np.ones(3, np.float16)}


def write_onnx(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["a"], ["b"])], "g", [value("a", 1, [1])], [value("b", 1, [1])]
    )
    onnx.save(onnx.helper.make_model(graph), path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's folder with its configuration and no weights yet."""
    path = tmp_path / "model"
    path.mkdir()
    (path / "config.json").write_text('{"model_type": "llama"}')
    return path


@pytest.mark.parametrize("name", ["model.gguf", "model.bin", "model.safetensors", "model"])
def test_a_gguf_file_is_known_by_its_content(tiny_gguf: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(tiny_gguf.read_bytes())
    assert detect(path) is Format.GGUF


def test_a_split_gguf_is_its_first_file(tiny_gguf: Path, tmp_path: Path) -> None:
    first, second = split_in_two(tiny_gguf, tmp_path)
    assert detect(first) is Format.GGUF
    assert detect(tmp_path) is Format.GGUF
    with pytest.raises(BrokenModel, match=f"give the first one, {first.name}"):
        detect(second)
    second.unlink()
    with pytest.raises(BrokenModel, match=f"{second.name} is missing"):
        detect(first)


def test_safetensors_in_one_file_and_in_several(folder: Path) -> None:
    save_file(WEIGHTS, folder / "model.safetensors")
    assert detect(folder) is Format.SAFETENSORS
    assert detect(folder / "model.safetensors") is Format.SAFETENSORS
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-00001-of-00001.safetensors"}}))
    assert detect(index) is Format.SAFETENSORS
    assert detect(folder) is Format.SAFETENSORS


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({"a": "model-00002-of-00002.safetensors"}, "lacks 1 of 1 files of weights: model-00002-of-00002"),
        ({"a": "../../other.safetensors"}, "names a file outside its folder"),
        ({}, "has no weight_map"),
        ({"a": 3}, "has no weight_map"),
        ([], "has no weight_map"),
    ],
)
def test_a_bad_index_is_named(folder: Path, weight_map: object, message: str) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(BrokenModel, match=message):
        detect(folder)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", ["pytorch_model.bin", "consolidated.00.pth"])
def test_pytorch_weights_of_both_ages(folder: Path, zipped: bool, name: str) -> None:
    torch.save({"a": torch.ones(3)}, folder / name, _use_new_zipfile_serialization=zipped)
    torch.save({"learning_rate": 0.1}, folder / "training_args.bin")
    assert detect(folder) is Format.PYTORCH


def test_a_pickle_that_is_not_torchs_is_never_opened(folder: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "sprung",)

    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(UnknownFormat, match="pytorch_model.bin is not a GGUF"):
        detect(folder)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("place", ["model.onnx", "onnx/model.onnx", "onnx/decoder_model_merged.onnx"])
def test_onnx_in_both_layouts(folder: Path, place: str) -> None:
    write_onnx(folder / place)
    assert detect(folder / place) is Format.ONNX
    assert detect(folder) is Format.ONNX


def test_a_folder_of_several_formats_prefers_safetensors(folder: Path, tiny_gguf: Path) -> None:
    save_file(WEIGHTS, folder / "model.safetensors")
    torch.save({"a": torch.ones(3)}, folder / "pytorch_model.bin")
    write_onnx(folder / "onnx" / "model.onnx")
    (folder / "q8.gguf").write_bytes(tiny_gguf.read_bytes())
    assert formats_in(folder) == [Format.SAFETENSORS, Format.GGUF, Format.PYTORCH, Format.ONNX]


def test_an_adapter_of_peft_is_refused_with_the_name_of_its_base(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "mistralai/Mistral-7B"}')
    save_file(WEIGHTS, tmp_path / "adapter_model.safetensors")
    assert is_adapter(tmp_path)
    with pytest.raises(AdapterNotModel, match=r"load its base model \(mistralai/Mistral-7B\)"):
        detect(tmp_path)


def test_an_adapter_in_gguf_is_refused(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "lora.gguf", kind="adapter")
    assert is_adapter(path)
    with pytest.raises(AdapterNotModel, match="lora.gguf is a LoRA adapter"):
        detect(path)


def test_an_image_encoder_is_not_a_model(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormat, match="of kind clip, which does not generate text"):
        detect(write_gguf(tmp_path / "mmproj.gguf", architecture="clip"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"tjgg" + bytes(60), "before GGUF"),
        (b"# a text file", "is not a GGUF, safetensors, PyTorch or ONNX model"),
        (b"GGUF" + struct.pack("<I", 1) + bytes(16), "GGUF version 1"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**63, 1), "announces 9223372036854775808 entries"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**62), "a string of 4611686018427387904 bytes"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2) + b"\xff\xfe" + bytes(8), "text that is not UTF-8"),
        (b"GGUF\x03\x00", "cut off"),
        (struct.pack("<Q", 2**60) + b"{", "a header of 1152921504606846976 bytes"),
        (struct.pack("<Q", 5) + b"{\xff\xff\xff}", "not that of a safetensors file"),
        (struct.pack("<Q", 2) + b"{]", "not that of a safetensors file"),
        (struct.pack("<Q", 8) + b'{"a":[]}', "not that of a safetensors file"),
        (b"PK\x03\x04" + bytes(40), "begins as a PyTorch archive"),
    ],
)
def test_a_file_that_is_no_model_is_named_with_what_is_wrong(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "download.gguf"
    path.write_bytes(content)
    with pytest.raises(CatalogError, match=message) as caught:
        detect(path)
    assert str(path) in str(caught.value)


def test_weights_without_their_configuration_are_refused(tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "model.safetensors")
    with pytest.raises(BrokenModel, match=r"no config\.json"):
        detect(tmp_path)


def test_a_folder_without_a_model_says_what_is_in_it(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormat, match="found nothing"):
        detect(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UnknownFormat, match=r"found notes\.txt"):
        detect(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BrokenModel, match="gone.gguf: No such file"):
        detect(tmp_path / "gone.gguf")


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_refused_or_read_but_never_crashes(
    tiny_gguf: Path, tmp_path: Path, data: st.DataObject
) -> None:
    whole = tiny_gguf.read_bytes() if data.draw(st.booleans()) else safetensors_bytes(tmp_path)
    damaged = bytearray(whole[: data.draw(st.integers(1, len(whole)))])
    for place in data.draw(st.lists(st.integers(0, min(len(damaged), 2000) - 1), max_size=8)):
        damaged[place] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged"
    path.write_bytes(damaged)
    with contextlib.suppress(CatalogError):
        detect(path)


def test_a_cut_file_is_refused_wherever_it_is_cut(tiny_gguf: Path, tmp_path: Path) -> None:
    for whole in (tiny_gguf.read_bytes(), safetensors_bytes(tmp_path)):
        path = tmp_path / "cut"
        for length in (3, 9, 40, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:length])
            with pytest.raises(CatalogError):
                detect(path)


def safetensors_bytes(tmp_path: Path) -> bytes:
    path = tmp_path / "whole.safetensors"
    if not path.exists():
        save_file(WEIGHTS, path)
    return path.read_bytes()


def test_a_header_is_read_once_until_its_file_changes(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "model.gguf")
    first = read_header(path)
    assert read_header(path) is first
    write_gguf(path, architecture="qwen2")
    assert read_header(path).architecture == "qwen2"
    path.unlink()
    with pytest.raises(BrokenModel, match=r"model\.gguf"):
        read_header(path)
