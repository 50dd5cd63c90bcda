"""Which quantisation to make, and which of several files to load."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ai_core.catalog import memory
from ai_core.catalog.errors import CatalogError
from ai_core.catalog.fitting import best_file, fitting, gguf_file, quantisation_needs
from ai_core.catalog.formats import Format
from ai_core.catalog.memory import Load, NotEnoughMemory
from ai_core.catalog.quantised_size import QUANTISATIONS, named

LOAD = Load(slots=2, context_length=256)


@pytest.mark.parametrize("form", [Format.GGUF, Format.SAFETENSORS])
def test_the_largest_quantisation_that_fits_is_chosen(f16_gguf: Path, hub_folder: Path, form: Format) -> None:
    path = f16_gguf if form is Format.GGUF else hub_folder
    needed = quantisation_needs(path, form, LOAD)
    assert [fit.quantisation.name for fit in needed] == list(QUANTISATIONS)
    totals = [fit.needs.total for fit in needed]
    assert totals == sorted(totals, reverse=True)
    for fit in needed:
        chosen = fitting(path, form, LOAD, fit.needs.total)
        assert chosen.needs.total == fit.needs.total  # of two that need the same, the better one
    with pytest.raises(NotEnoughMemory, match="as Q2_K") as caught:
        fitting(path, form, LOAD, totals[-1] - 1)
    assert caught.value.needed == totals[-1]


def test_of_several_files_the_largest_that_fits_is_loaded(tiny_gguf: Path, f16_gguf: Path, tmp_path: Path) -> None:
    small, large = (Path(shutil.copy(path, tmp_path)) for path in (tiny_gguf, f16_gguf))
    needed = {path: memory.needs(path, Format.GGUF, LOAD).total for path in (small, large)}
    assert needed[small] < needed[large]
    assert gguf_file(tmp_path, LOAD, needed[large]) == large
    assert gguf_file(tmp_path, LOAD, needed[large] - 1) == small
    with pytest.raises(NotEnoughMemory, match="tiny.gguf is the smallest here"):
        best_file([large, small], LOAD, needed[small] - 1)


def test_a_single_file_is_taken_whatever_it_needs(tiny_gguf: Path, tmp_path: Path) -> None:
    assert gguf_file(tiny_gguf, LOAD, 0) == tiny_gguf
    alone = Path(shutil.copy(tiny_gguf, tmp_path))
    assert gguf_file(tmp_path, LOAD, 0) == alone


def test_a_name_that_is_no_quantisation_is_answered_with_those_there_are() -> None:
    assert named("q4_k_m").name == "Q4_K_M"
    with pytest.raises(CatalogError, match="Q9 is none of F32, BF16, F16, Q8_0, Q6_K"):
        named("Q9")
