"""Brings a declared model into memory, whatever its format. A backend and its library are imported when needed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ai_core.catalog import fitting, memory
from ai_core.catalog.entry import ModelEntry
from ai_core.catalog.errors import CatalogError
from ai_core.catalog.formats import Format
from ai_core.catalog.job import Job, JobStatus
from ai_core.catalog.machine_memory import available_bytes
from ai_core.catalog.preparation import prepare
from ai_core.catalog.stored_weights import shape_of
from ai_core.engine.backends.base import Backend
from ai_core.engine.engine import Engine
from ai_core.engine.serving import Serving

logger = logging.getLogger(__name__)

LOOK_AT_JOB = 0.5  # seconds
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
    """What an entry leaves open; None leaves it to the backend. `max_waiting` requests may wait for a slot. With a
    `calibration_file` the fastest way to compute a GGUF model here is measured once and kept there."""

    slots: int = 16
    context_length: int | None = None
    threads: int | None = None
    max_waiting: int = 64
    calibration_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """`form` is the entry as it is to be loaded: the one of several quantisations that fits, or one made for it. There
    is room for it `beside` the model that serves, or only in its place."""

    form: ModelEntry
    beside: bool


class ModelLoader:
    """Loads entries with the same options. `available` tells the bytes of memory that may be taken now; models that
    must be made smaller to fit are kept under `data_dir`."""

    def __init__(
        self, options: LoadingOptions, data_dir: Path, *, available: Callable[[], int] = available_bytes
    ) -> None:
        self._options = options
        self._data_dir = data_dir
        self._available = available

    def prepare(self, entry: ModelEntry, current: ModelEntry | None, report: Callable[[str], None]) -> Prepared:
        """Find the form of `entry` that fits, with or without `current` in memory; make it where there is none yet,
        which may take minutes, and `report` how far that is. Raises NotEnoughMemory when no form fits even without
        `current`, other CatalogErrors."""
        if entry.format is Format.REMOTE:
            return Prepared(entry, beside=True)
        beside, alone = self._room(current)
        prepared = prepare(entry, _how(entry, self._options), self._data_dir, alone)
        if prepared.job is not None:
            _finish(prepared.job, report)
        return Prepared(prepared.entry, beside=_needs(prepared.entry, self._options).total <= beside)

    def load(self, form: ModelEntry) -> Serving:
        """The model in memory, its engine not started yet. Raises CatalogError, BackendError."""
        return load(form, self._options, available=self._available())

    def _room(self, current: ModelEntry | None) -> tuple[int, int]:
        """Bytes there are beside `current`, and without it."""
        available = self._available()
        if current is None or current.path is None:
            return available, available
        taken = _needs(current, self._options)
        # The pages of a mapped GGUF file count as available while they are in use.
        beside = available - (taken.weights if current.format is Format.GGUF else 0)
        return beside, beside + taken.weights + taken.cache


def load(entry: ModelEntry, options: LoadingOptions, *, available: int | None = None) -> Serving:
    """Read the model's files, or reach for its servers. Raises NotEnoughMemory when it needs more than the `available`
    bytes (None: look now), other CatalogErrors, BackendError."""
    if entry.format is Format.REMOTE:
        return _remote(entry, options)
    entry.check_files()
    assert entry.path is not None
    path, how = entry.path, _how(entry, options)
    available = available_bytes() if available is None else available
    if entry.format is Format.GGUF:
        path = fitting.gguf_file(path, how, available)
    needed = _needs(replace(entry, path=path), options).total
    memory.require(needed, available)
    if entry.format is Format.GGUF:
        how = memory.with_separate_slots(how, shape_of(path, entry.format), available - needed)
    try:
        backend = _OPENERS[entry.format](entry, path, how, options)
    except ImportError as error:
        raise LibraryMissing(entry, error.name or str(error)) from error
    return Serving(backend, Engine(backend, max_waiting=options.max_waiting))


def _how(entry: ModelEntry, options: LoadingOptions) -> memory.Load:
    return memory.Load(slots=options.slots, context_length=entry.context_length or options.context_length)


def _needs(entry: ModelEntry, options: LoadingOptions) -> memory.Needs:
    """Of an entry whose path names one form of the model."""
    assert entry.path is not None
    return memory.needs(entry.path, entry.format, _how(entry, options), entry.adapters.values())


def _finish(job: Job, report: Callable[[str], None]) -> None:
    logger.info("making a model smaller", extra={"job": job.title})
    job.start()
    while not job.wait(LOOK_AT_JOB):
        report(f"{job.title}: {job.step}, {job.percent} %")
    if job.status is not JobStatus.DONE:
        raise CatalogError(job.error or f"{job.title}: {job.status.value}")


def _gguf(entry: ModelEntry, path: Path, how: memory.Load, options: LoadingOptions) -> Backend:
    from ai_core.engine.backends.llama_cpp import LlamaCppBackend

    return LlamaCppBackend(
        path,
        slots=how.slots,
        context_length=how.context_length,
        cells=how.cells,
        threads=entry.threads or options.threads,
        adapters=entry.adapters,
        calibration_file=options.calibration_file,
    )


def _torch(entry: ModelEntry, path: Path, how: memory.Load, options: LoadingOptions) -> Backend:
    from ai_core.engine.backends.transformers.backend import TransformersBackend

    return TransformersBackend(
        path,
        slots=how.slots,
        context_length=how.context_length,
        cells=how.cells,
        threads=entry.threads or options.threads,
        adapters=entry.adapters,
    )


def _onnx(entry: ModelEntry, path: Path, how: memory.Load, options: LoadingOptions) -> Backend:
    from ai_core.engine.backends.onnx import OnnxBackend

    return OnnxBackend(
        path,
        slots=how.slots,
        context_length=how.context_length,
        cells=how.cells,
        threads=entry.threads or options.threads,
    )


_OPENERS: dict[Format, Callable[[ModelEntry, Path, memory.Load, LoadingOptions], Backend]] = {
    Format.GGUF: _gguf,
    Format.SAFETENSORS: _torch,
    Format.PYTORCH: _torch,
    Format.ONNX: _onnx,
}


def _remote(entry: ModelEntry, options: LoadingOptions) -> Serving:
    from ai_core.engine.backends.remote import RemoteEngine, RemoteServers

    servers = RemoteServers(
        entry.urls,
        model=entry.remote_model,
        api_key=entry.remote_key,
        context_length=entry.context_length or options.context_length,
    )
    return Serving(servers, RemoteEngine(servers, max_waiting=options.max_waiting))
