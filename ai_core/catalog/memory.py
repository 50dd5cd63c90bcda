"""What memory a model needs, estimated from the headers of its files, before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ai_core.catalog import gguf_header, model_folder, safetensors_header
from ai_core.catalog.errors import BrokenModel, CatalogError
from ai_core.catalog.formats import Format
from ai_core.catalog.machine_memory import available_bytes
from ai_core.catalog.model_shape import ModelShape

GIB = 1024**3
BATCH_TOKENS = 512  # computed in one step
DEFAULT_CONTEXT = 8192
CELLS_PER_SLOT = 2048
PINNED_SEQUENCES = 8
"""The backends' own choices where nothing is set: see backends/llama_cpp/backend.py."""
RUNTIME = {
    Format.GGUF: 32 * 2**20,
    Format.SAFETENSORS: 400 * 2**20,
    Format.PYTORCH: 400 * 2**20,
    Format.ONNX: 150 * 2**20,
}
"""Bytes that the library itself takes once it is imported (measured: torch with transformers, onnxruntime)."""


class NotEnoughMemory(CatalogError):
    """The model does not fit. Both figures in bytes; `advice` says what would help."""

    def __init__(self, needed: int, available: int, advice: str) -> None:
        super().__init__(f"needs {gib(needed)} of memory, {gib(available)} are available; {advice}")
        self.needed = needed
        self.available = available


@dataclass(frozen=True, slots=True)
class Load:
    """How a model is to be loaded: answers at the same time, tokens of one, tokens of all together; None leaves it to
    the backend. `cached_bytes` is what one number of the KV cache takes (2: f16)."""

    slots: int = 16
    context_length: int | None = None
    cells: int | None = None
    cached_bytes: float = 2.0

    def tokens(self, trained: int) -> int:
        """Token positions in the cache of a model trained on `trained` tokens of context (0: unknown)."""
        context = min(self.context_length or DEFAULT_CONTEXT, trained or MOST)
        return self.cells or min(self.slots * context, max(context, self.slots * CELLS_PER_SLOT))


MOST = 2**31


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes: the weights, the memory of running answers, and room to compute in with the library itself."""

    weights: int
    cache: int
    compute: int

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.compute


def needs(path: Path, format_: Format, load: Load, adapters: Iterable[Path] = ()) -> Needs:
    """What the model takes once it is loaded. Raises BrokenModel for files whose headers cannot be read."""
    shape = shape_of(path, format_)
    weights = weights_bytes(path, format_) + sum(_size_on_disk(adapter) for adapter in adapters)
    return with_weights(weights, shape, format_, load)


def with_weights(weights: int, shape: ModelShape, format_: Format, load: Load) -> Needs:
    """What a model of `shape` takes whose weights take `weights` bytes."""
    if format_ is Format.GGUF:
        cached_bytes, copies = load.cached_bytes, 1
    else:  # computed in f32 where the processor has nothing better; ONNX holds the past and the present at once
        cached_bytes, copies = 4.0, 2 if format_ is Format.ONNX else 1
    cache = int(load.tokens(shape.context_length) * shape.cached_values * cached_bytes) * copies
    cache += 4 * shape.state_values * (load.slots + PINNED_SEQUENCES)
    return Needs(weights, cache, RUNTIME[format_] + _compute_bytes(shape, load))


def require(needed: int, available: int | None = None, *, advice: str = "") -> None:
    """Raises NotEnoughMemory when `needed` bytes are more than are `available` (None: look now)."""
    available = available_bytes() if available is None else available
    if needed > available:
        raise NotEnoughMemory(
            needed, available, advice or "a smaller quantisation, fewer slots or a shorter context help"
        )


def gib(count: int) -> str:
    """Bytes as people read them."""
    return f"{count / GIB:.1f} GiB" if count >= GIB // 10 else f"{count / 2**20:.0f} MiB"


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
        return sum(tensor.size_bytes for file in files for tensor in safetensors_header.read_tensors(file))
    if format_ is Format.PYTORCH:
        return sum(file.stat().st_size for file in model_folder.torch_files(path))
    if format_ is Format.ONNX:
        return max(_onnx_bytes(file) for file in model_folder.onnx_files(path))
    raise BrokenModel(f"{path}: a {format_.value} model has no files here")


def _onnx_bytes(graph: Path) -> int:
    """The graph and the weights that it keeps in files of their own, which begin with its name."""
    return sum(file.stat().st_size for file in graph.parent.glob(f"{graph.name}*") if file.is_file())


def _compute_bytes(shape: ModelShape, load: Load) -> int:
    """Activations of one step, the mask of its tokens over the cache, and the logits: a tenth to a quarter above the
    buffers that llama.cpp reports (measured on Qwen2 and Llama shapes, 8,192 to 262,144 cells)."""
    activations = 4 * BATCH_TOKENS * (3 * shape.feed_forward + 4 * shape.width)
    mask = 2 * BATCH_TOKENS * load.tokens(shape.context_length)
    logits = 2 * 4 * shape.vocabulary * (load.slots + PINNED_SEQUENCES)
    return activations + mask + logits


def _size_on_disk(path: Path) -> int:
    return (
        sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size
    )
