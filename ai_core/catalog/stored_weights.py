"""How many bytes the weights of a model take in memory, and its shape, from its files' headers."""

from __future__ import annotations

from pathlib import Path

from ai_core.catalog import gguf_header, model_folder, safetensors_header
from ai_core.catalog.errors import BrokenModel
from ai_core.catalog.formats import Format
from ai_core.catalog.model_shape import ModelShape

IN_TORCH = (Format.SAFETENSORS, Format.PYTORCH)
SIXTEEN_BITS = ("bfloat16", "float16")
BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_tile"})  # processors on which 16-bit weights stay as they are
ONNX_GROWTH = 1.4  # onnxruntime rearranges the weights it multiplies by, and holds some of them twice (measured)
CPUINFO = Path("/proc/cpuinfo")


def shape_of(path: Path, format_: Format) -> ModelShape:
    """Raises BrokenModel."""
    if format_ is Format.GGUF:
        return ModelShape.of_gguf(gguf_header.read_header(path))
    return ModelShape.of_config(model_folder.read_config(path))


def weights_bytes(path: Path, format_: Format) -> int:
    """Bytes of the weights in memory. Raises BrokenModel."""
    if format_ is Format.GGUF:
        headers = (gguf_header.read_header(part) for part in gguf_header.parts_of(path))
        return sum(tensor.size_bytes for header in headers for tensor in header.tensors)
    if format_ is Format.SAFETENSORS:
        files = model_folder.safetensors_files(path)
        tensors = [tensor for file in files for tensor in safetensors_header.read_tensors(file)]
        return sum(tensor.elements for tensor in tensors) * computed_bytes(path)
    if format_ is Format.PYTORCH:
        size = sum(file.stat().st_size for file in model_folder.torch_files(path))
        return size // (2 if model_folder.torch_dtype(path) in SIXTEEN_BITS else 4) * computed_bytes(path)
    if format_ is Format.ONNX:
        return int(ONNX_GROWTH * max(_onnx_bytes(file) for file in model_folder.onnx_files(path)))
    raise BrokenModel(f"{path}: a {format_.value} model has no files here")


def computed_bytes(folder: Path) -> int:
    """Bytes of a number as the transformers backend computes with it (its checkpoint.default_dtype): 4, or 2 for a
    16-bit model on a processor that has bfloat16."""
    if model_folder.torch_dtype(folder) not in SIXTEEN_BITS:
        return 4
    try:
        flags = set(CPUINFO.read_text(encoding="ascii", errors="replace").split())
    except OSError:
        return 4
    return 2 if flags & BFLOAT16_FLAGS else 4


def disk_bytes(path: Path) -> int:
    """Of a file, or of all files in a folder."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _onnx_bytes(graph: Path) -> int:
    """The graph, and the weights that it keeps in files of their own, which begin with its name."""
    return sum(file.stat().st_size for file in graph.parent.glob(f"{graph.name}*") if file.is_file())
