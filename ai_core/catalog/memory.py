"""What memory a model needs, estimated from the headers of its files, before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ai_core.catalog import stored_weights
from ai_core.catalog.errors import CatalogError
from ai_core.catalog.formats import Format
from ai_core.catalog.machine_memory import available_bytes
from ai_core.catalog.model_shape import ModelShape

GIB = 1024**3
BATCH_TOKENS = 512  # computed in one step
DEFAULT_CONTEXT = 8192
SHORTER_CONTEXT = 4096
CELLS_PER_SLOT = 2048
MOST_TOKENS = 2**31
PINNED_SEQUENCES = 8
"""The backends' own choices where nothing is set: see backends/llama_cpp/backend.py."""
SCORES_BYTES = 256 * 2**20
"""What attention over separate slots may take besides: see backends/llama_cpp/tuning.py."""
TORCH_BYTES, ONNXRUNTIME_BYTES, LLAMA_CPP_BYTES = 500 * 2**20, 100 * 2**20, 32 * 2**20
"""What the library itself takes once it is imported and has computed a step (measured on x86-64)."""
LIBRARY_BYTES = {
    Format.GGUF: LLAMA_CPP_BYTES,
    Format.SAFETENSORS: TORCH_BYTES,
    Format.PYTORCH: TORCH_BYTES,
    Format.ONNX: ONNXRUNTIME_BYTES,
}


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
        context = min(self.context_length or DEFAULT_CONTEXT, trained or MOST_TOKENS)
        return self.cells or min(self.slots * context, max(context, self.slots * CELLS_PER_SLOT))


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
    weights = stored_weights.weights_bytes(path, format_) + sum(stored_weights.disk_bytes(file) for file in adapters)
    cached_bytes = stored_weights.computed_bytes(path) if format_ in stored_weights.IN_TORCH else load.cached_bytes
    return with_weights(weights, stored_weights.shape_of(path, format_), format_, load, cached_bytes)


def with_weights(weights: int, shape: ModelShape, format_: Format, load: Load, cached_bytes: float) -> Needs:
    """What a model of `shape` takes whose weights take `weights` bytes, and a number in the KV cache `cached_bytes`."""
    if format_ is Format.ONNX:
        cached_bytes = 2 * 4.0  # in f32, and the past is held beside the present
    cache = int(load.tokens(shape.context_length) * shape.cached_values * cached_bytes)
    cache += 4 * shape.state_values * (load.slots + PINNED_SEQUENCES)
    return Needs(weights, cache, LIBRARY_BYTES[format_] + _compute_bytes(shape, load))


def for_gguf(weights: int, shape: ModelShape, load: Load) -> Needs:
    """What a GGUF model of `shape` would take whose weights take `weights` bytes."""
    return with_weights(weights, shape, Format.GGUF, load, load.cached_bytes)


def with_separate_slots(load: Load, shape: ModelShape, spare: int) -> Load:
    """`load` with room for the longest answer in every slot, which computes faster (see backends/llama_cpp): where half
    of the `spare` bytes, those beyond its needs, hold that and as much again of what prompts share. A context length
    that is left open may become shorter for it. Else `load` as it is."""
    for context in [load.context_length] if load.context_length else [DEFAULT_CONTEXT, SHORTER_CONTEXT]:
        length = min(context, shape.context_length or MOST_TOKENS)
        roomy = replace(load, context_length=length, cells=load.slots * length)
        more = 2 * roomy.tokens(0) - load.tokens(shape.context_length)
        if more * shape.cached_values * load.cached_bytes + SCORES_BYTES <= spare / 2:
            return roomy
    return load


def require(needed: int, available: int | None = None, *, advice: str = "") -> None:
    """Raises NotEnoughMemory when `needed` bytes are more than are `available` (None: look now)."""
    available = available_bytes() if available is None else available
    if needed > available:
        raise NotEnoughMemory(
            needed, available, advice or "a smaller quantisation, fewer slots or a shorter context help"
        )


def gib(count: int) -> str:
    """Bytes as people read them."""
    for unit, size, digits in (("GiB", GIB, 1), ("MiB", 2**20, 0)):
        if count >= size:
            return f"{count / size:.{digits}f} {unit}"
    return f"{count / 1024:.0f} KiB"


def _compute_bytes(shape: ModelShape, load: Load) -> int:
    """Activations of one step, the mask of its tokens over the cache, and the logits: a tenth to a quarter above the
    buffers that llama.cpp reports (measured on Qwen2 and Llama shapes, 8,192 to 262,144 cells)."""
    activations = 4 * BATCH_TOKENS * (3 * shape.feed_forward + 4 * shape.width)
    mask = 2 * BATCH_TOKENS * load.tokens(shape.context_length)
    logits = 2 * 4 * shape.vocabulary * (load.slots + PINNED_SEQUENCES)
    return activations + mask + logits
