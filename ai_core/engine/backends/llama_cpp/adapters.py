"""LoRA adapters over one loaded model: some megabytes each, beside weights that all of them share."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ai_core.engine.backends.base import BackendError
from ai_core.engine.backends.llama_cpp.library import errors_kept, library
from ai_core.engine.backends.llama_cpp.model import GGUF_MAGIC


class Adapters:
    """Loaded before the context is made, which sizes its graph for them; llama.cpp frees them with the model. One is in
    use at a time, at the strength that its file says. For one thread."""

    def __init__(self, model: Any, paths: Mapping[str, Path]) -> None:
        """Raises BackendError for a file that is no adapter of this model."""
        self._loaded = {name: _load(model, path) for name, path in paths.items()}
        self._in_use: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._loaded)

    def use(self, context: Any, name: str | None) -> None:
        """From the next batch on; None is the bare model."""
        if name == self._in_use:
            return
        lib = library()
        handles = [] if name is None else [self._loaded[name]]
        chosen = (lib.llama_adapter_lora_p_ctypes * len(handles))(*handles)
        scales = (ctypes.c_float * len(handles))(*[1.0 for _ in handles])
        lib.llama_set_adapters_lora(context, chosen, len(handles), scales)
        self._in_use = name


def _load(model: Any, path: Path) -> Any:
    _require_gguf(path)
    lib = library()
    with errors_kept() as errors:
        adapter = lib.llama_adapter_lora_init(model, str(path).encode())
    if not adapter:
        reason = errors[-1].rpartition("adapter: ")[2] if errors else "llama.cpp gives no reason"
        raise BackendError(f"{path.name} is no adapter of this model: {reason}")
    if lib.llama_adapter_get_alora_n_invocation_tokens(adapter):
        raise BackendError(f"{path.name} starts at a token of its own in the prompt (aLoRA): not supported")
    return adapter


def _require_gguf(path: Path) -> None:
    """llama.cpp says nothing useful of a file that it cannot read."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(GGUF_MAGIC))
    except OSError as error:
        raise BackendError(f"cannot read adapter {path.name}: {error.strerror}") from error
    if magic != GGUF_MAGIC:
        raise BackendError(f"adapter {path.name} is not a GGUF file")
