"""A model that is too large for the memory is made smaller, once; where that does not help, it is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ai_core.catalog import fitting, memory
from ai_core.catalog.entry import ModelEntry
from ai_core.catalog.formats import Format
from ai_core.catalog.inspection import file_type
from ai_core.catalog.job import JobStatus
from ai_core.catalog.memory import Load, NotEnoughMemory
from ai_core.catalog.preparation import prepare
from ai_core.engine.backends.llama_cpp import LlamaCppBackend
from tests.ai_core.catalog.gguf_files import write_f16_model
from tests.ai_core.catalog.test_job import finished
from tests.ai_core.engine.backends.transformers.tiny_hub_model import write_lora

LOAD = Load(slots=1, context_length=256)


def needed(entry: ModelEntry) -> int:
    assert entry.path is not None
    return memory.needs(entry.path, entry.format, LOAD).total


def smallest(entry: ModelEntry) -> int:
    assert entry.path is not None
    return fitting.quantisation_needs(entry.path, entry.format, LOAD)[-1].needs.total


def test_a_model_that_fits_is_taken_as_it_is(hub_folder: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    for path in (hub_folder, tiny_gguf):
        entry = ModelEntry.from_path(path)
        prepared = prepare(entry, LOAD, tmp_path, needed(entry))
        assert (prepared.entry, prepared.job) == (entry, None)


def test_safetensors_that_do_not_fit_are_converted_once(hub_folder: Path, converter_data_dir: Path) -> None:
    entry = ModelEntry.from_path(hub_folder)
    target = converter_data_dir / "models" / f"{entry.id}-F16.gguf"
    target.unlink(missing_ok=True)
    prepared = prepare(entry, LOAD, converter_data_dir, needed(entry) - 1)
    assert (prepared.entry.id, prepared.entry.format, prepared.entry.path) == (entry.id, Format.GGUF, target)
    assert prepared.job is not None
    assert finished(prepared.job).status is JobStatus.DONE
    LlamaCppBackend(target, slots=1, threads=1).close()
    again = prepare(entry, LOAD, converter_data_dir, needed(entry) - 1)
    assert (again.entry.path, again.job) == (target, None)
    os.utime(target, (0, 0))  # the model has changed since
    assert prepare(entry, LOAD, converter_data_dir, needed(entry) - 1).job is not None


def test_unquantised_gguf_that_does_not_fit_is_quantised(tmp_path: Path) -> None:
    entry = ModelEntry.from_path(write_f16_model(tmp_path / "m-f16.gguf", layers=2))
    prepared = prepare(entry, LOAD, tmp_path / "data", needed(entry) - 1)
    assert prepared.job is not None
    assert finished(prepared.job).error is None
    assert prepared.entry.path is not None
    assert file_type(prepared.entry.path) == "Q8_0"
    assert needed(prepared.entry) < needed(entry)


def test_what_fits_in_no_form_is_refused_with_the_figures(f16_gguf: Path, hub_folder: Path, tmp_path: Path) -> None:
    for path in (f16_gguf, hub_folder):
        entry = ModelEntry.from_path(path)
        with pytest.raises(NotEnoughMemory, match="as Q2_K: choose a smaller model") as caught:
            prepare(entry, LOAD, tmp_path, smallest(entry) - 1)
        assert caught.value.needed == smallest(entry)
        assert caught.value.available == smallest(entry) - 1


def test_a_quantised_model_and_one_with_adapters_are_not_changed(
    f16_gguf: Path, hub_folder: Path, tmp_path: Path
) -> None:
    lora = write_lora(tmp_path / "lora", hub_folder)
    for entry in (
        ModelEntry.from_path(Path(__file__).parents[3] / "ai_core" / "demo_model" / "code-du-travail-demo.gguf"),
        ModelEntry.from_path(hub_folder, adapters={"law": lora}),
    ):
        with pytest.raises(NotEnoughMemory, match="fewer slots or a shorter context help"):
            prepare(entry, LOAD, tmp_path, needed(entry) - 1)


def test_a_remote_model_needs_no_memory_here(tmp_path: Path) -> None:
    entry = ModelEntry("far", Format.REMOTE, urls=("http://127.0.0.1:1/v1",))
    assert prepare(entry, LOAD, tmp_path, 0).job is None
