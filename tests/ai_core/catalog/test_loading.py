"""A declared model comes into memory if there is room, answers, and goes again with everything it took."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from ai_core import heap
from ai_core.catalog.entry import ModelEntry
from ai_core.catalog.loading import LibraryMissing, LoadingOptions, ModelLoader, load
from ai_core.catalog.memory import NotEnoughMemory
from ai_core.engine.serving import Serving
from ai_core.model_host import LoadFailed, ModelHost
from tests.ai_core.engine import tiny_model
from tests.ai_core.engine.driving import answer, request

MIB = 2**20
OPTIONS = LoadingOptions(slots=2, context_length=512, threads=1)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> ModelEntry:
    path = tmp_path_factory.mktemp("small") / "small.gguf"
    return ModelEntry.from_path(tiny_model.write_tiny_model(path))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> ModelEntry:
    """About a hundred megabytes of random weights."""
    path = tmp_path_factory.mktemp("large") / "large.gguf"
    with pytest.MonkeyPatch.context() as sized:
        for name, value in {"LAYERS": 6, "WIDTH": 512, "INNER": 2048}.items():
            sized.setattr(tiny_model, name, value)
        tiny_model.write_tiny_model(path)
    assert path.stat().st_size > 90 * MIB
    return ModelEntry.from_path(path)


def first_words(serving: Serving) -> str:
    asked = request("Question ?", max_tokens=8)
    serving.engine.submit(asked)
    return answer(asked)[0]


def resident() -> int:
    heap.give_back()
    bytes_: int = psutil.Process().memory_info().rss
    return bytes_


def loader(tmp_path: Path, available: int) -> ModelLoader:
    return ModelLoader(OPTIONS, tmp_path, available=lambda: available)


def test_a_gguf_model_answers(small: ModelEntry) -> None:
    serving = load(small, OPTIONS)
    serving.engine.start()
    assert len(first_words(serving)) == 8
    assert serving.backend.info.slots == 2
    serving.engine.stop()
    serving.backend.close()


def test_a_model_that_was_unloaded_leaves_no_memory_taken(large: ModelEntry, small: ModelEntry, tmp_path: Path) -> None:
    host = ModelHost(ModelLoader(OPTIONS, tmp_path), grace_seconds=0)
    host.load(small)
    first_words(host.current().serving)
    host.unload("small")
    without = resident()
    for _ in range(2):
        host.load(large)
        first_words(host.current().serving)
        assert resident() - without > 80 * MIB
        host.load(small)
        first_words(host.current().serving)
        assert resident() - without < 10 * MIB
    host.unload("small")
    assert resident() - without < 5 * MIB


def test_a_model_that_does_not_fit_is_refused_with_figures_before_it_is_read(large: ModelEntry) -> None:
    with pytest.raises(NotEnoughMemory, match=r"needs .* of memory, 64 MiB are available") as refused:
        load(large, OPTIONS, available=64 * MIB)
    assert refused.value.needed > 90 * MIB


def test_the_host_reports_what_does_not_fit_and_keeps_the_model_that_serves(
    large: ModelEntry, small: ModelEntry, tmp_path: Path
) -> None:
    available = [2048 * MIB]
    host = ModelHost(ModelLoader(OPTIONS, tmp_path, available=lambda: available[0]), grace_seconds=0)
    host.load(small)
    available[0] = 16 * MIB
    with pytest.raises(LoadFailed, match="needs .* are available") as refused:
        host.load(large)
    assert (refused.value.status, host.current().id) == (409, "small")
    assert "are available" in str(host.states.get("large").error)
    host.stop()


def test_two_models_are_in_memory_at_once_only_where_both_fit(
    large: ModelEntry, small: ModelEntry, tmp_path: Path
) -> None:
    both = loader(tmp_path, 170 * MIB)
    assert both.prepare(large, None, print).beside
    assert both.prepare(large, small, print).beside
    # The weights of the one that serves are mapped pages, which the system counts as available.
    assert not both.prepare(large, large, print).beside


def test_a_model_that_only_fits_smaller_is_made_smaller_once_and_serves_under_its_name(
    large: ModelEntry, small: ModelEntry, tmp_path: Path
) -> None:
    host = ModelHost(loader(tmp_path, 100 * MIB), grace_seconds=0)
    host.load(small)
    host.load(large)
    model = host.current()
    assert (model.id, model.entry) == ("large", large)
    assert model.backend.info.quantization.startswith("Q")
    assert model.backend.info.size_bytes < 50 * MIB
    assert model.form.path is not None
    made = model.form.path.stat().st_mtime_ns
    assert not host.load(large).changed
    host.load(small)
    host.load(large)
    assert model.form.path.stat().st_mtime_ns == made
    host.stop()


def test_a_missing_library_is_named_with_the_file_that_brings_it(
    small: ModelEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("ai_core.engine.backends.llama_cpp")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    with pytest.raises(LibraryMissing, match=r"gguf .* llama_cpp.*pip install -r requirements/ai_core-gguf\.txt"):
        load(small, OPTIONS)
