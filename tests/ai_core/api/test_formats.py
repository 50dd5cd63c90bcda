"""Every format through the API: loaded by its files, streamed, its own parameters honoured, switched, unloaded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_core.catalog.entry import ModelEntry
from ai_core.catalog.formats import Format
from ai_core.engine.stats import EngineStats
from tests.ai_core.engine.backends.onnx import tiny_export
from tests.ai_core.engine.backends.transformers.tiny_hub_model import write_hub_model, write_lora, write_pytorch_model
from tests.ai_core.engine.tiny_model import write_tiny_model
from tests.fakes import Core, build_core

PLAIN = {"grounding": False, "max_tokens": 8, "temperature": 0}
BEAMS = {"num_beams": 2, "length_penalty": 0.8, "early_stopping": True}
CONTEXT = 2048


def gguf(folder: Path) -> ModelEntry:
    return ModelEntry.from_path(write_tiny_model(folder / "tiny.gguf"))


def safetensors(folder: Path) -> ModelEntry:
    path = write_hub_model(folder / "llama", max_position_embeddings=CONTEXT)
    return ModelEntry.from_path(path, adapters={"droit": write_lora(folder / "droit", path)})


def pytorch(folder: Path) -> ModelEntry:
    return ModelEntry.from_path(write_pytorch_model(folder / "pickled", max_position_embeddings=CONTEXT))


def onnx(folder: Path) -> ModelEntry:
    (folder / "export").mkdir()
    with pytest.MonkeyPatch.context() as longer:
        longer.setattr(tiny_export, "CONTEXT", CONTEXT)
        return ModelEntry.from_path(tiny_export.write_export(folder / "export"))


MAKERS: dict[Format, Callable[[Path], ModelEntry]] = {
    Format.GGUF: gguf,
    Format.SAFETENSORS: safetensors,
    Format.PYTORCH: pytorch,
    Format.ONNX: onnx,
}


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> dict[Format, ModelEntry]:
    return {format_: make(tmp_path_factory.mktemp(format_.value)) for format_, make in MAKERS.items()}


@pytest.fixture(params=list(MAKERS), ids=[format_.value for format_ in MAKERS])
def entry(request: pytest.FixtureRequest, entries: dict[Format, ModelEntry]) -> ModelEntry:
    return entries[request.param]


@pytest.fixture
def core(tmp_path: Path, entry: ModelEntry) -> Iterator[Core]:
    built = build_core(tmp_path, model=entry, context_length=CONTEXT, slots=2)
    yield built
    built.parts.model.stop()


def chat(core: Core, **body: Any) -> Any:
    body = {"message": "Bonjour", **PLAIN, **body}
    headers = {**core.headers("chat"), "Cache-Control": "no-cache"}
    return core.app.test_client().post("/api/v1/chat", json=body, headers=headers)


def test_its_format_is_seen_in_its_files(entries: dict[Format, ModelEntry]) -> None:
    assert {format_: entry.format for format_, entry in entries.items()} == {format_: format_ for format_ in entries}


def test_it_streams_what_it_answers(core: Core) -> None:
    whole = chat(core).get_json()
    assert whole["completion_tokens"] == 8
    raw = chat(core, stream=True).get_data(as_text=True)
    events = [json.loads(line[6:]) for line in raw.splitlines() if line.startswith("data: ")]
    assert "".join(event["text"] for event in events if "text" in event).strip() == whole["response"]
    assert events[-1]["finish_reason"] == "length"


def test_it_gives_log_probabilities(core: Core) -> None:
    tokens = chat(core, parameters={"logprobs": 1}).get_json()["logprobs"]
    assert len(tokens) == 8
    assert all(token["logprob"] <= 0 for token in tokens)


def test_beams_are_honoured_or_refused(core: Core, entry: ModelEntry) -> None:
    response = chat(core, parameters=BEAMS)
    if entry.format is Format.SAFETENSORS or entry.format is Format.PYTORCH:
        used = response.get_json()["parameters_used"]
        assert {name: used[name] for name in BEAMS} == BEAMS
    else:
        assert response.status_code == 422
        assert set(response.get_json()["errors"]) == set(BEAMS)
        assert entry.format.value in str(response.get_json()["errors"])


def test_an_adapter_changes_its_answers(core: Core, entry: ModelEntry) -> None:
    if not entry.adapters:
        return
    assert chat(core, model="droit").get_json()["response"] != chat(core).get_json()["response"]


def test_unloaded_it_refuses_and_loaded_again_it_answers_the_same(core: Core, entry: ModelEntry) -> None:
    before = chat(core).get_json()["response"]
    assert core.parts.model.unload(entry.id).changed
    assert chat(core).status_code == 409
    core.parts.model.load(entry)
    assert chat(core).get_json()["response"] == before


def test_formats_take_the_place_of_one_another(tmp_path: Path, entries: dict[Format, ModelEntry]) -> None:
    core = build_core(tmp_path, model=entries[Format.GGUF], context_length=CONTEXT, slots=2)
    for entry in [*entries.values(), *entries.values()]:
        core.parts.model.load(entry)
        answer = chat(core).get_json()
        assert (answer["model"], answer["completion_tokens"]) == (entry.id, 8)
        stats: EngineStats = core.parts.model.current().engine.stats()
        assert stats.completion_tokens_total == 8
    core.parts.model.stop()
