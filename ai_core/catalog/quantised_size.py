"""How large a model becomes when it is quantised, estimated from the shapes of its tensors."""

from __future__ import annotations

import math
import re
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
    the layers, in the `output` matrix, and in layers whose width is no multiple of 256 (src/llama-quant.cpp)."""

    name: str
    number: int
    layers: float
    output: float
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
NARROW_OUTPUT = 8.5


OUTPUTS = frozenset({"output.weight", "lm_head.weight", "embed_out.weight"})
EMBEDDINGS = re.compile(r"(?:^|\.)(?:token_embd|embed_tokens|wte|word_embeddings|embed_in)\.weight$")
"""The matrix that turns the last layer into a choice of token keeps more bits; the embedding does where it is both."""


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor to quantise: how many numbers, how many of them in a row; whether it is the output of the model."""

    elements: int
    width: int
    is_output: bool
    is_matrix: bool

    def bits(self, to: Quantisation) -> float:
        if not self.is_matrix:
            return F32_BITS * self.elements
        if self.width % 32:
            return max(F16_BITS, to.layers) * self.elements
        if self.width % BLOCK:
            return max(NARROW_OUTPUT if self.is_output else 0, to.narrow) * self.elements
        return (to.output if self.is_output else to.layers) * self.elements


def named(name: str, choices: Mapping[str, Quantisation] = PRECISIONS | QUANTISATIONS) -> Quantisation:
    """The one of `choices` of that name, in any case. Raises CatalogError with the names there are."""
    try:
        return choices[name.upper()]
    except KeyError:
        raise CatalogError(f"{name} is none of {', '.join(choices)}") from None


def weights_of(path: Path, format_: Format) -> list[Weight]:
    """The tensors of a model; of a PyTorch one, whose shapes cannot be read without loading it, one as large as all of
    them. Raises BrokenModel; CatalogError for the other formats."""
    if format_ is Format.GGUF:
        headers = [gguf_header.read_header(part) for part in gguf_header.parts_of(path)]
        shapes = {tensor.name: tensor.shape[::-1] for header in headers for tensor in header.tensors}
    elif format_ is Format.SAFETENSORS:
        files = model_folder.safetensors_files(path)
        shapes = {tensor.name: tensor.shape for file in files for tensor in safetensors_header.read_tensors(file)}
    elif format_ is Format.PYTORCH:
        stored_bytes = 4 if model_folder.torch_dtype(path) == "float32" else 2
        size = sum(file.stat().st_size for file in model_folder.torch_files(path))
        return [Weight(size // stored_bytes, BLOCK, is_output=False, is_matrix=True)]
    else:
        raise CatalogError(f"{path} is {format_.value}; only GGUF, safetensors and PyTorch models can be quantised")
    outputs = OUTPUTS & shapes.keys() or {name for name in shapes if EMBEDDINGS.search(name)}
    return [
        Weight(math.prod(shape), shape[-1] if shape else 1, name in outputs, len(shape) > 1)
        for name, shape in shapes.items()
    ]


def quantised_bytes(weights: Iterable[Weight], to: Quantisation) -> int:
    """Bytes of the tensors after quantisation; up to an eighth above what llama.cpp writes."""
    return math.ceil(sum(weight.bits(to) for weight in weights) / 8)
