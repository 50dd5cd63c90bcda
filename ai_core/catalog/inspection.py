"""What a model's files say about it, without loading it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_core.catalog import gguf_header, model_folder, safetensors_header
from ai_core.catalog.formats import Format, detect
from ai_core.catalog.gguf_header import GgufHeader
from ai_core.catalog.memory import Load, Needs, needs
from ai_core.catalog.stored_weights import shape_of
from ai_core.catalog.tensor_types import FILE_TYPES


@dataclass(frozen=True, slots=True)
class Inspection:
    """`parameters` are the weights' count and `quantisation` their type, None where only loading would tell; a
    `context_length` of 0 is unknown."""

    path: Path
    format: Format
    architecture: str
    parameters: int | None
    quantisation: str | None
    context_length: int
    has_chat_template: bool
    needs: Needs


def inspect(path: Path, load: Load) -> Inspection:
    """Look at a model, and at what it would need when loaded so. Raises CatalogError."""
    format_ = detect(path)
    if format_ is Format.GGUF and path.is_file():
        return _gguf(path, load)
    folder = path if path.is_dir() else path.parent
    if format_ is Format.GGUF:
        return _gguf(model_folder.gguf_files(folder)[0], load)
    config = model_folder.read_config(folder)
    stored = [t for file in model_folder.safetensors_files(folder) for t in safetensors_header.read_tensors(file)]
    in_safetensors = format_ is Format.SAFETENSORS
    return Inspection(
        path=folder,
        format=format_,
        architecture=", ".join(config.get("architectures") or [str(config.get("model_type", "unknown"))]),
        parameters=sum(tensor.elements for tensor in stored) if in_safetensors else None,
        quantisation=_commonest({tensor.name: (tensor.dtype, tensor.elements) for tensor in stored}),
        context_length=shape_of(folder, format_).context_length,
        has_chat_template=_has_chat_template(folder),
        needs=needs(folder, format_, load),
    )


def file_type(path: Path) -> str:
    """What a GGUF file's weights are quantised to, as it says itself or by its tensors. Raises BrokenModel."""
    headers = [gguf_header.read_header(part) for part in gguf_header.parts_of(path)]
    return _file_type(headers)


def _gguf(path: Path, load: Load) -> Inspection:
    headers = [gguf_header.read_header(part) for part in gguf_header.parts_of(path)]
    return Inspection(
        path=path,
        format=Format.GGUF,
        architecture=headers[0].architecture,
        parameters=sum(tensor.elements for header in headers for tensor in header.tensors),
        quantisation=_file_type(headers),
        context_length=shape_of(path, Format.GGUF).context_length,
        has_chat_template=bool(headers[0].metadata.get("tokenizer.chat_template")),
        needs=needs(path, Format.GGUF, load),
    )


def _file_type(headers: list[GgufHeader]) -> str:
    said: Any = headers[0].metadata.get("general.file_type")
    tensors = {tensor.name: (tensor.type, tensor.elements) for header in headers for tensor in header.tensors}
    return FILE_TYPES.get(said) or _commonest(tensors) or "unknown"


def _commonest(tensors: dict[str, tuple[str, int]]) -> str | None:
    """The type that most weights have."""
    counts: Counter[str] = Counter()
    for kind, elements in tensors.values():
        counts[kind] += elements
    return counts.most_common(1)[0][0] if counts else None


def _has_chat_template(folder: Path) -> bool:
    tokenizer = folder / "tokenizer_config.json"
    return (folder / "chat_template.jinja").is_file() or (
        tokenizer.is_file() and bool(model_folder.read_json(tokenizer).get("chat_template"))
    )
