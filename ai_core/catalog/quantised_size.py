"""How large a model becomes when it is quantised, estimated from the shapes of its tensors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ai_core.catalog import gguf_header, model_folder, safetensors_header
from ai_core.catalog.errors import CatalogError
from ai_core.catalog.formats import Format

BLOCK = 256  # weights that the K quantisations store together; a narrower tensor gets another type


@dataclass(frozen=True, slots=True)
class Quantisation:
    """One of llama.cpp's: `number` in its list of file types, and the bits of a weight that it takes: on average over
    the layers, in the `vocabulary` matrices, and in layers whose width is no multiple of 256 (src/llama-quant.cpp)."""

    name: str
    number: int
    layers: float
    vocabulary: float
    narrow: float


QUANTISATIONS = {
    choice.name: choice
    for choice in (
        Quantisation("Q8_0", 7, 8.5, 8.5, 8.5),
        Quantisation("Q6_K", 18, 6.5625, 6.5625, 8.5),
        Quantisation("Q5_K_M", 17, 5.75, 6.5625, 6.4),
        Quantisation("Q4_K_M", 15, 4.95, 6.5625, 5.9),
        Quantisation("Q3_K_M", 12, 4.05, 6.5625, 5.0),
        Quantisation("Q2_K", 10, 3.4, 6.5625, 4.8),
    )
}
"""What can be chosen, the best first."""
PRECISIONS = {
    choice.name: choice
    for choice in (
        Quantisation("F32", 0, 32, 32, 32),
        Quantisation("BF16", 32, 16, 16, 16),
        Quantisation("F16", 1, 16, 16, 16),
    )
}
"""What a model can be converted to without quantising it."""
F32_BITS, F16_BITS = 32, 16
NARROW_VOCABULARY = 8.5


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor to quantise: how many numbers, how many of them in a row; whether its rows are the vocabulary's."""

    elements: int
    width: int
    rows_are_vocabulary: bool
    is_matrix: bool

    def bits(self, to: Quantisation) -> float:
        if not self.is_matrix:
            return F32_BITS * self.elements
        if self.width % 32:
            return max(F16_BITS, to.layers) * self.elements
        if self.width % BLOCK:
            return max(NARROW_VOCABULARY if self.rows_are_vocabulary else 0, to.narrow) * self.elements
        return (to.vocabulary if self.rows_are_vocabulary else to.layers) * self.elements


def named(name: str, choices: Mapping[str, Quantisation] = PRECISIONS | QUANTISATIONS) -> Quantisation:
    """The one of `choices` of that name, in any case. Raises CatalogError with the names there are."""
    try:
        return choices[name.upper()]
    except KeyError:
        raise CatalogError(f"{name} is none of {', '.join(choices)}") from None


def weights_of(path: Path, format_: Format, vocabulary: int) -> list[Weight]:
    """The tensors of a model; of a PyTorch one, whose shapes cannot be read without loading it, one as large as all of
    them. Raises BrokenModel; CatalogError for the other formats."""
    if format_ is Format.GGUF:
        headers = [gguf_header.read_header(part) for part in gguf_header.parts_of(path)]
        shapes = [tensor.shape[::-1] for header in headers for tensor in header.tensors]
    elif format_ is Format.SAFETENSORS:
        files = model_folder.safetensors_files(path)
        shapes = [tensor.shape for file in files for tensor in safetensors_header.read_tensors(file)]
    elif format_ is Format.PYTORCH:
        stored_bytes = 4 if model_folder.torch_dtype(path) == "float32" else 2
        size = sum(file.stat().st_size for file in model_folder.torch_files(path))
        return [Weight(size // stored_bytes, BLOCK, rows_are_vocabulary=False, is_matrix=True)]
    else:
        raise CatalogError(f"{path} is {format_.value}; only GGUF, safetensors and PyTorch models can be quantised")
    return [_weight(shape, vocabulary) for shape in shapes]


def quantised_bytes(weights: Iterable[Weight], to: Quantisation) -> int:
    """Bytes of the tensors after quantisation; a few hundredths above what llama.cpp writes."""
    return math.ceil(sum(weight.bits(to) for weight in weights) / 8)


def _weight(shape: tuple[int, ...], vocabulary: int) -> Weight:
    """`shape` has the rows first."""
    width = shape[-1] if shape else 1
    # Files may pad the vocabulary to a round number of rows.
    padded = len(shape) == 2 and vocabulary > 0 and vocabulary <= shape[0] < vocabulary + BLOCK
    return Weight(math.prod(shape), width, padded, len(shape) > 1)
