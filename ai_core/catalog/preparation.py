"""Makes a model fit: one that is too large for the memory as it is gets converted and quantised to what fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ai_core.catalog import fitting, gguf_header, memory
from ai_core.catalog.conversion import best_quantisation, conversion_job, plan_conversion
from ai_core.catalog.entry import ModelEntry
from ai_core.catalog.formats import Format
from ai_core.catalog.job import Job
from ai_core.catalog.machine_memory import available_bytes
from ai_core.catalog.memory import Load, NotEnoughMemory
from ai_core.catalog.quantisation import is_unquantised, plan_quantisation, quantisation_job
from ai_core.catalog.quantised_size import Quantisation
from ai_core.catalog.stored_weights import IN_TORCH


@dataclass(frozen=True, slots=True)
class Preparation:
    """The `entry` to load, once `job` is done; None where there is nothing to do."""

    entry: ModelEntry
    job: Job | None


def prepare(entry: ModelEntry, load: Load, data_dir: Path, available: int | None = None) -> Preparation:
    """Find the form of a model that fits in `available` bytes (None: look now): as it is, or a GGUF file made of it
    under `data_dir`, which an earlier call may have made.

    Raises NotEnoughMemory with the figures when no form fits, NoSpace, and CatalogError for files that cannot be read.
    """
    if entry.format is Format.REMOTE:
        return Preparation(entry, None)
    entry.check_files()
    available = available_bytes() if available is None else available
    try:
        return Preparation(_as_it_is(entry, load, available), None)
    except NotEnoughMemory:
        smaller = _smaller_form(entry, load, available)
        if smaller is None:
            raise
    to, job = smaller
    target = data_dir.absolute() / "models" / f"{entry.id}-{to.name}.gguf"
    quantised = replace(entry, format=Format.GGUF, path=target)
    if _is_current(target, entry):
        return Preparation(quantised, None)
    target.unlink(missing_ok=True)
    return Preparation(quantised, job(target))


def _as_it_is(entry: ModelEntry, load: Load, available: int) -> ModelEntry:
    assert entry.path is not None
    path = fitting.gguf_file(entry.path, load, available) if entry.format is Format.GGUF else entry.path
    memory.require(memory.needs(path, entry.format, load, entry.adapters.values()).total, available)
    return replace(entry, path=path)


def _smaller_form(entry: ModelEntry, load: Load, available: int) -> tuple[Quantisation, Callable[[Path], Job]] | None:
    """What to quantise to and the job that does it; None where nothing smaller can be made."""
    path = entry.path
    assert path is not None
    if entry.format in IN_TORCH and not entry.adapters:  # peft's adapters do not go on a GGUF file
        to = best_quantisation(path, load, available)
        return to, lambda target: conversion_job(plan_conversion(path, to, target), target.parents[1])
    if entry.format is Format.GGUF and path.is_file() and is_unquantised(path):
        to = fitting.fitting(path, Format.GGUF, load, available).quantisation
        return to, lambda target: quantisation_job(plan_quantisation(path, to, target))
    return None


def _is_current(target: Path, entry: ModelEntry) -> bool:
    """Whether the file was made of the model as it is today."""
    assert entry.path is not None
    sources = entry.path.rglob("*") if entry.path.is_dir() else gguf_header.parts_of(entry.path)
    newest = max(source.stat().st_mtime for source in sources if source.is_file())
    return target.is_file() and target.stat().st_mtime >= newest
