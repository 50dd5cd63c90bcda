"""Loading the weights of a GGUF file, and what its metadata says."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

from ai_core.engine.backends.base import BackendError
from ai_core.engine.backends.llama_cpp.library import library

GGUF_MAGIC = b"GGUF"


def load_model(path: Path) -> Any:
    """llama.cpp's handle of a model that generates text; free it with llama_model_free. Raises BackendError."""
    lib = library()
    model = open_model(path)
    if lib.llama_model_has_encoder(model) or not lib.llama_model_has_decoder(model):
        lib.llama_model_free(model)
        raise BackendError(f"{path.name} does not generate text")
    return model


def open_model(path: Path) -> Any:
    """llama.cpp's handle of any model that it knows; free it with llama_model_free. Raises BackendError."""
    lib = library()
    try:
        with path.open("rb") as file:
            magic = file.read(len(GGUF_MAGIC))
    except OSError as error:
        raise BackendError(f"cannot read {path.name}: {error.strerror}") from error
    if magic != GGUF_MAGIC:
        raise BackendError(f"{path.name} is not a GGUF file")
    model = lib.llama_model_load_from_file(str(path).encode(), lib.llama_model_default_params())
    if not model:
        raise BackendError(f"llama.cpp cannot load {path.name}")
    return model


def shares_prefixes(model: Any) -> bool:
    """Whether a part of a sequence can be copied: not in recurrent states, nor in sliding windows."""
    lib = library()
    recurrent = lib.llama_model_is_recurrent(model) or lib.llama_model_is_hybrid(model)
    return not recurrent and lib.llama_model_n_swa(model) == 0


def metadata(model: Any, key: str) -> str:
    """A value of the file's header as text; empty where there is none."""
    lib = library()
    size = lib.llama_model_meta_val_str(model, key.encode(), None, 0) + 1
    if size <= 0:
        return ""
    buffer = ctypes.create_string_buffer(size)
    lib.llama_model_meta_val_str(model, key.encode(), buffer, size)
    return buffer.value.decode("utf-8", "replace")
