"""Weights that a graph keeps in files of their own: they have to lie below its folder.

onnxruntime refuses others itself in the version that Python 3.11 gets, and reads them in the last one for Python 3.10.
A graph is protobuf (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, TensorProto.external_data: entries of a
key and a value). It is not parsed here: each place where the word "location" stands has to be an entry as every
exporter writes it, whose value can be read. What is written in another way is refused, since it may hide a path.
"""

from __future__ import annotations

import mmap
import re
from pathlib import Path, PurePosixPath

from ai_core.engine.backends.base import BackendError

REFUSES_ITSELF = (1, 31)  # onnxruntime
_ENTRY = re.compile(rb"\x0a\x08location\x12([\x01-\x7f])")  # key, then the length of the value in one byte
_WORD = re.compile(rb"location")


def refuse_weights_outside(file: Path) -> None:
    """Raises BackendError."""
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as graph:
        ends = {entry.start() + 2: entry.end() for entry in _ENTRY.finditer(graph)}
        for word in _WORD.finditer(graph):
            end = ends.get(word.start())
            if end is None or not _is_below(graph[end : end + graph[end - 1]]):
                raise BackendError(f"{file.name} may keep weights outside of its folder")


def _is_below(location: bytes) -> bool:
    path = PurePosixPath(location.decode("utf-8", "replace"))
    return not path.is_absolute() and ".." not in path.parts
