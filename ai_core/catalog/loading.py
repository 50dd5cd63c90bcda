"""Brings a declared model into memory, whatever its format. A backend and its library are imported when needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ai_core.catalog import fitting, memory
from ai_core.catalog.entry import ModelEntry
from ai_core.catalog.errors import CatalogError
from ai_core.catalog.formats import Format
from ai_core.catalog.machine_memory import available_bytes
from ai_core.engine.backends.base import Backend
from ai_core.engine.engine import Engine
from ai_core.engine.serving import Serving

REQUIREMENTS = {
    Format.GGUF: "requirements/ai_core-gguf.txt",
    Format.SAFETENSORS: "requirements/ai_core-transformers.txt",
    Format.PYTORCH: "requirements/ai_core-transformers.txt",
    Format.ONNX: "requirements/ai_core-onnx.txt",
}


class LibraryMissing(CatalogError):
    """The library that computes this format is not installed."""

    def __init__(self, entry: ModelEntry, module: str) -> None:
        super().__init__(
            f"a {entry.format.value} model needs {module}, which is not installed: "
            f"pip install -r {REQUIREMENTS[entry.format]}"
        )


@dataclass(frozen=True, slots=True)
class LoadingOptions:
    """What an entry leaves open; None leaves it to the backend. `max_waiting` requests may wait for a slot."""

    slots: int = 16
    context_length: int | None = None
    threads: int | None = None
    max_waiting: int = 64


class ModelLoader:
    """Loads entries with the same options. `available` tells the bytes of memory that may be taken now."""

    def __init__(self, options: LoadingOptions, *, available: Callable[[], int] = available_bytes) -> None:
        self._options = options
        self._available = available

    def fits_beside(self, entry: ModelEntry, current: ModelEntry | None) -> bool:
        """Whether there is room for `entry` while `current` stays in memory. Raises NotEnoughMemory where there is none
        even without `current`, CatalogError for files that cannot be read."""
        if entry.format is Format.REMOTE:
            return True
        available = self._available()
        with_current, without = available, available
        if current is not None and current.path is not None:
            taken = self._needs(current, available)
            # Pages of a GGUF file count as available while they are in use.
            mapped = taken.weights if current.format is Format.GGUF else 0
            with_current = available - mapped
            without = with_current + taken.weights + taken.cache
        needed = self._needs(entry, without).total
        memory.require(needed, without)
        return needed <= with_current

    def load(self, entry: ModelEntry) -> Serving:
        """The model in memory, its engine not started yet. Raises CatalogError, BackendError."""
        return load(entry, self._options, available=self._available())

    def _needs(self, entry: ModelEntry, available: int) -> memory.Needs:
        """`available` decides which of several quantisations is meant."""
        assert entry.path is not None
        entry.check_files()
        how = _how(entry, self._options)
        path = fitting.gguf_file(entry.path, how, available) if entry.format is Format.GGUF else entry.path
        return memory.needs(path, entry.format, how, entry.adapters.values())


def load(entry: ModelEntry, options: LoadingOptions, *, available: int | None = None) -> Serving:
    """Read the model's files, or reach for its servers. Raises NotEnoughMemory when it needs more than the `available`
    bytes (None: look now), other CatalogErrors, BackendError."""
    if entry.format is Format.REMOTE:
        return _remote(entry, options)
    entry.check_files()
    assert entry.path is not None
    how, path = _how(entry, options), entry.path
    if entry.format is Format.GGUF:
        path = fitting.gguf_file(path, how, available)
    memory.require(memory.needs(path, entry.format, how, entry.adapters.values()).total, available)
    try:
        backend = _OPENERS[entry.format](entry, path, options)
    except ImportError as error:
        raise LibraryMissing(entry, error.name or str(error)) from error
    return Serving(backend, Engine(backend, max_waiting=options.max_waiting))


def _how(entry: ModelEntry, options: LoadingOptions) -> memory.Load:
    return memory.Load(slots=options.slots, context_length=entry.context_length or options.context_length)


def _gguf(entry: ModelEntry, path: Path, options: LoadingOptions) -> Backend:
    from ai_core.engine.backends.llama_cpp import LlamaCppBackend

    return LlamaCppBackend(
        path,
        slots=options.slots,
        context_length=entry.context_length or options.context_length,
        threads=entry.threads or options.threads,
        adapters=entry.adapters,
    )


def _torch(entry: ModelEntry, path: Path, options: LoadingOptions) -> Backend:
    from ai_core.engine.backends.transformers import TransformersBackend

    return TransformersBackend(
        path,
        slots=options.slots,
        context_length=entry.context_length or options.context_length,
        threads=entry.threads or options.threads,
        adapters=entry.adapters,
    )


_OPENERS: dict[Format, Callable[[ModelEntry, Path, LoadingOptions], Backend]] = {
    Format.GGUF: _gguf,
    Format.SAFETENSORS: _torch,
    Format.PYTORCH: _torch,
}


def _remote(entry: ModelEntry, options: LoadingOptions) -> Serving:
    raise CatalogError("remote servers cannot be reached yet")
