"""What the header of a safetensors file says, read without its tensors.

The format: https://huggingface.co/docs/safetensors/index#format.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_core.catalog.errors import BrokenModel
from ai_core.catalog.header_reader import HeaderReader

LONGEST_HEADER = 100_000_000  # bytes; the library's own limit
DTYPE_BITS = dict.fromkeys(("F64", "I64", "U64"), 64) | dict.fromkeys(("F32", "I32", "U32"), 32)
DTYPE_BITS |= dict.fromkeys(("F16", "BF16", "I16", "U16"), 16) | {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}
DTYPE_BITS |= dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8)


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor as it lies in the file; `dtype` in the format's words, such as BF16."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


def looks_like_safetensors(path: Path) -> bool:
    """Whether the file begins with a length and a JSON object."""
    with HeaderReader(path) as reader:
        return reader.size > 8 and reader.bytes(9)[8:] == b"{"


def read_tensors(path: Path) -> tuple[StoredTensor, ...]:
    """Raises BrokenModel for a file that is not whole; the message names it."""
    with HeaderReader(path) as reader:
        length = reader.number("Q")
        if length > min(LONGEST_HEADER, reader.size - 8):
            raise BrokenModel(f"{path} is cut off or damaged: a header of {length} bytes in {reader.size} bytes")
        try:
            header = json.loads(reader.bytes(length).decode("utf-8"))
            header.pop("__metadata__", None)
            tensors = [_tensor(name, value) for name, value in header.items()]
        except (UnicodeDecodeError, ValueError, RecursionError, AttributeError, KeyError, TypeError):
            raise BrokenModel(f"{path} is damaged: its header is not that of a safetensors file") from None
        end = 8 + length + max((end for _, end in tensors), default=0)
        if end > reader.size:
            raise BrokenModel(f"{path} is cut off: {reader.size} of {end} bytes are there; fetch it again")
    return tuple(tensor for tensor, _ in tensors)


def _tensor(name: str, value: Mapping[str, Any]) -> tuple[StoredTensor, int]:
    """The tensor, and where it ends. Raises what a wrong shape of the header leads to."""
    start, end = (int(offset) for offset in value["data_offsets"])
    shape, dtype = tuple(int(size) for size in value["shape"]), str(value["dtype"])
    bits = math.prod(shape) * DTYPE_BITS.get(dtype, 0)
    if min((*shape, start, end - start)) < 0 or bits > 8 * (end - start):
        raise ValueError(name)
    return StoredTensor(name, dtype, shape, end - start), end
