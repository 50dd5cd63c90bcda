"""Which format a model has: by what its files contain, not by what they are called."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from ai_core.catalog import gguf_header, model_folder, torch_file
from ai_core.catalog.errors import AdapterNotModel, BrokenModel, UnknownFormat
from ai_core.catalog.header_reader import HeaderReader
from ai_core.catalog.safetensors_header import looks_like_safetensors, read_tensors

START = 64  # bytes that tell what a file is
PROTOBUF_FIELDS = frozenset({0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42, 0x72})  # what follows ir_version in onnx.proto


class Format(str, Enum):
    """What a model is made of; each has its backend."""

    GGUF = "gguf"
    SAFETENSORS = "safetensors"
    PYTORCH = "pytorch"
    ONNX = "onnx"
    REMOTE = "remote"


def detect(path: Path) -> Format:
    """The format of a model's file or folder; of a folder that holds several the first in the order of Format, but
    safetensors before GGUF.

    Raises UnknownFormat (AdapterNotModel for a LoRA adapter) saying what was seen, or BrokenModel for files that are
    empty, cut off, damaged or missing.
    """
    if path.is_dir():
        return formats_in(path)[0]
    return _file_format(path)


def formats_in(folder: Path) -> list[Format]:
    """Every format that `folder` holds a whole model of, the preferred one first; never empty. Raises as `detect`."""
    found: list[Format] = []
    for format_, files in (
        (Format.SAFETENSORS, model_folder.safetensors_files(folder)),
        (Format.GGUF, model_folder.gguf_files(folder)),
        (Format.PYTORCH, model_folder.torch_files(folder)),
        (Format.ONNX, model_folder.onnx_files(folder)),
    ):
        if files:
            _require_format(files, format_)
            found.append(format_)
    if not found or (is_adapter(folder) and Format.GGUF not in found):
        raise _nothing_in(folder)
    if found != [Format.GGUF]:
        model_folder.read_config(folder)  # the other formats cannot be loaded without it
    return found


def is_adapter(path: Path) -> bool:
    """Whether `path` is a LoRA adapter: peft's folder or a GGUF file. Raises BrokenModel."""
    if path.is_dir():
        return (path / model_folder.ADAPTER_CONFIG).is_file() and not model_folder.has_base_weights(path)
    return gguf_header.is_gguf(path) and gguf_header.read_header(path).kind == "adapter"


def _require_format(files: list[Path], format_: Format) -> None:
    for file in files:
        seen = _file_format(file)
        if seen is not format_:
            raise BrokenModel(f"{file} should be {format_.value} by its name, but contains {seen.value}")


def _file_format(path: Path) -> Format:
    with HeaderReader(path) as reader:
        if not reader.size:
            raise BrokenModel(f"{path} is empty")
        start = reader.bytes(min(START, reader.size))
    if start.startswith(gguf_header.MAGIC):
        return _gguf(path)
    if model_folder.is_index(path):
        return _index(path)
    if looks_like_safetensors(path):
        read_tensors(path)
        return Format.SAFETENSORS
    if torch_file.looks_like_torch(path):
        return Format.PYTORCH
    if start[0] == 0x08 and len(start) > 2 and start[1] < 0x40 and start[2] in PROTOBUF_FIELDS:
        return Format.ONNX
    raise _unknown(path, start)


def _gguf(path: Path) -> Format:
    headers = [gguf_header.read_header(part) for part in gguf_header.parts_of(path)]
    kind, architecture = headers[0].kind, headers[0].architecture
    if kind == "adapter":
        raise AdapterNotModel(
            f"{path} is a LoRA adapter, not a model: load its base model and name this file as adapter"
        )
    if kind != "model" or architecture == "clip":
        raise UnknownFormat(f"{path} is a GGUF file of kind {architecture or kind}, which does not generate text")
    if not architecture or not any(header.tensors for header in headers):
        raise BrokenModel(f"{path} holds no weights, only a header")
    return Format.GGUF


def _index(path: Path) -> Format:
    files = model_folder.indexed_files(path)
    format_ = _file_format(files[0])
    _require_format(files, format_)
    return format_


def _nothing_in(folder: Path) -> UnknownFormat:
    if is_adapter(folder):
        base = model_folder.base_of_adapter(folder)
        return AdapterNotModel(
            f"{folder} is a LoRA adapter, not a model: load its base model ({base}) and name this folder as adapter"
        )
    names = sorted(entry.name for entry in folder.iterdir())
    seen = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "") if names else "nothing"
    return UnknownFormat(
        f"{folder} holds no model: looked for .gguf, .safetensors, .bin or .pth, and .onnx files; found {seen}"
    )


def _unknown(path: Path, start: bytes) -> UnknownFormat | BrokenModel:
    if start.startswith(b"version https://git-lfs"):
        return BrokenModel(f"{path} is only a Git LFS pointer: fetch the file itself (git lfs pull)")
    if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return BrokenModel(f"{path} is a web page, not a model: its download failed")
    if start[:4] in (b"lmgg", b"fmgg", b"tjgg"):
        return UnknownFormat(f"{path} is in the GGML format that came before GGUF: fetch the model as GGUF")
    return UnknownFormat(f"{path} is not a GGUF, safetensors, PyTorch or ONNX model: it begins with {start[:8]!r}")
