"""What the header of a GGUF file says, read without its tensors.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Our own reader, since the gguf package maps the
whole file and believes the lengths in it; and a server that only runs GGUF files does without that package.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ai_core.catalog.errors import BrokenModel
from ai_core.catalog.header_reader import HeaderReader
from ai_core.catalog.tensor_types import TENSOR_TYPES

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MOST_ENTRIES = 1_000_000  # metadata keys, or tensors
DEFAULT_ALIGNMENT = 32
STRING, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
KEPT_ITEMS = 4096  # of an array of numbers: one for each layer; vocabularies are longer and not kept
KEPT_HEADERS = 256


@dataclass(frozen=True, slots=True)
class Tensor:
    """`size_bytes` in the file; `offset` from the start of the tensors; `shape` innermost dimension first."""

    name: str
    shape: tuple[int, ...]
    type: str  # a name of TENSOR_TYPES
    offset: int
    size_bytes: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """`metadata` holds scalars, strings and short arrays of numbers; of another array its length, under `lengths`."""

    path: Path
    metadata: Mapping[str, Any]
    lengths: Mapping[str, int]
    tensors: tuple[Tensor, ...]

    @property
    def kind(self) -> str:
        """general.type: "model", "adapter", "mmproj", ..."""
        return str(self.metadata.get("general.type", "model"))

    @property
    def architecture(self) -> str:
        return str(self.metadata.get("general.architecture", ""))

    def of_architecture(self, key: str) -> Any:
        """The value of `ARCHITECTURE.key`, or None."""
        return self.metadata.get(f"{self.architecture}.{key}")


def is_gguf(path: Path) -> bool:
    """Whether the file begins as a GGUF file does."""
    with HeaderReader(path) as reader:
        return reader.size >= len(MAGIC) and reader.bytes(len(MAGIC)) == MAGIC


def read_header(path: Path) -> GgufHeader:
    """Raises BrokenModel for a file that is not whole; the message names it. A file that stays as it is is read once:
    the vocabulary of a usual model takes a tenth of a second, and declared models are looked at with every question."""
    try:
        state = path.stat()
    except OSError as error:
        raise BrokenModel(f"{path}: {error.strerror}") from None
    return _read_header(path, (state.st_ino, state.st_size, state.st_mtime_ns))


@lru_cache(maxsize=KEPT_HEADERS)
def _read_header(path: Path, state: tuple[int, int, int]) -> GgufHeader:  # noqa: ARG001 - another state, another header
    with HeaderReader(path) as reader:
        if reader.bytes(len(MAGIC)) != MAGIC:
            raise BrokenModel(f"{path} is not a GGUF file")
        version = reader.number("I")
        if version not in VERSIONS:
            raise BrokenModel(f"{path} is GGUF version {version}; versions 2 and 3 can be read")
        tensor_count, key_count = reader.number("Q"), reader.number("Q")
        if max(tensor_count, key_count) > MOST_ENTRIES:
            raise BrokenModel(f"{path} is damaged: its header announces {max(tensor_count, key_count)} entries")
        metadata: dict[str, Any] = {}
        lengths: dict[str, int] = {}
        for _ in range(key_count):
            _read_key(reader, metadata, lengths)
        tensors = tuple(_read_tensor(reader) for _ in range(tensor_count))
        _require_whole(reader, metadata, tensors)
    return GgufHeader(path, metadata, lengths, tensors)


def _read_key(reader: HeaderReader, metadata: dict[str, Any], lengths: dict[str, int]) -> None:
    key, kind = reader.text(), reader.number("I")
    if kind == STRING:
        metadata[key] = reader.text()
    elif kind in SCALARS:
        metadata[key] = reader.number(SCALARS[kind])
    elif kind == ARRAY:
        item, count = reader.number("I"), reader.number("Q")
        lengths[key] = count
        if item == STRING:
            for _ in range(count):
                reader.skip(reader.number("Q"))
        elif item in SCALARS:
            _read_numbers(reader, metadata, key, SCALARS[item], count)
        else:
            raise BrokenModel(f"{reader.path} is damaged: {key} is an array of an unknown type")
    else:
        raise BrokenModel(f"{reader.path} is damaged: {key} has an unknown type")


def _read_numbers(reader: HeaderReader, metadata: dict[str, Any], key: str, form: str, count: int) -> None:
    size = count * struct.calcsize("<" + form)
    if count <= KEPT_ITEMS:
        metadata[key] = list(struct.unpack(f"<{count}{form}", reader.bytes(size)))
    else:
        reader.skip(size)


def _read_tensor(reader: HeaderReader) -> Tensor:
    name, dimensions = reader.text(), reader.number("I")
    if not 0 < dimensions <= 4:
        raise BrokenModel(f"{reader.path} is damaged: tensor {name} has {dimensions} dimensions")
    shape = tuple(reader.number("Q") for _ in range(dimensions))
    kind, offset = reader.number("I"), reader.number("Q")
    if kind not in TENSOR_TYPES:
        raise BrokenModel(f"{reader.path}: tensor {name} is of a type ({kind}) that this version does not know")
    type_ = TENSOR_TYPES[kind]
    return Tensor(name, shape, type_.name, offset, math.prod(shape) // type_.block * type_.block_bytes)


def _require_whole(reader: HeaderReader, metadata: Mapping[str, Any], tensors: tuple[Tensor, ...]) -> None:
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment <= 0:
        raise BrokenModel(f"{reader.path} is damaged: general.alignment is {alignment}")
    start = -(-reader.position // alignment) * alignment
    end = max((start + tensor.offset + tensor.size_bytes for tensor in tensors), default=0)
    if end > reader.size:
        raise BrokenModel(f"{reader.path} is cut off: {reader.size} of {end} bytes are there; fetch it again")


SPLIT_NAME = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")


def parts_of(path: Path) -> tuple[Path, ...]:
    """All files of the model whose first file is `path`: itself, or the parts of a split one. Raises BrokenModel for a
    missing part, and for a part that is not the first."""
    split = SPLIT_NAME.fullmatch(path.name)
    if split is None:
        return (path,)
    count, stem = int(split["count"]), split["stem"]
    parts = tuple(path.with_name(f"{stem}-{number:05}-of-{count:05}.gguf") for number in range(1, count + 1))
    if path != parts[0]:
        raise BrokenModel(f"{path} is a part of a model in {count} files; give the first one, {parts[0].name}")
    missing = [part.name for part in parts if not part.is_file()]
    if missing:
        raise BrokenModel(f"{path} is the first of {count} files, of which {', '.join(missing[:3])} is missing")
    return parts
