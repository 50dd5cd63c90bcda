"""LoRA adapters over one loaded model: each request gets the weights that it names."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import gguf
import llama_cpp
import pytest
from llama_cpp import Llama

from ai_core.engine.backends.base import BackendError, Chunk, DecodeFailed
from ai_core.engine.backends.llama_cpp import LlamaCppBackend
from ai_core.engine.sampling import SamplingParameters
from tests.ai_core.engine.tiny_model import finish, write_tiny_adapter

PROMPT = list("Combien de jours de congés ?".encode())
TOKENS = 24


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return {name: write_tiny_adapter(folder / f"{name}.gguf", seed=seed) for seed, name in enumerate(("cdt", "mail"))}


@pytest.fixture
def adapted(tiny_model: Path, files: dict[str, Path]) -> Iterator[LlamaCppBackend]:
    backend = LlamaCppBackend(tiny_model, slots=4, threads=1, adapters=files)
    yield backend
    backend.close()


def answer(backend: LlamaCppBackend, adapter: str | None) -> list[int]:
    sampler = backend.sampler(SamplingParameters(temperature=0), PROMPT)
    tokens, position, chosen = PROMPT, 0, list[int]()
    for _ in range(TOKENS):
        ((best,),) = backend.decode([Chunk(0, position, tokens, sampler, adapter=adapter)])
        position, tokens = position + len(tokens), [best.token]
        chosen.append(best.token)
    backend.drop(0)
    return chosen


def library_answer(model: Path, adapter: Path | None) -> list[int]:
    path = str(adapter) if adapter else None
    library = Llama(str(model), n_ctx=512, n_threads=1, n_threads_batch=1, lora_path=path, verbose=False)
    chosen = list(islice(library.generate(PROMPT, temp=0.0, repeat_penalty=1.0), TOKENS))
    library.close()
    return chosen


def test_answers_are_those_of_the_library_with_the_same_adapter(
    tiny_model: Path, adapted: LlamaCppBackend, files: dict[str, Path]
) -> None:
    paths: dict[str | None, Path | None] = {name: files.get(name or "") for name in (None, *files)}
    answers = {name: answer(adapted, name) for name in paths}
    assert answers == {name: library_answer(tiny_model, path) for name, path in paths.items()}
    assert len(set(map(tuple, answers.values()))) == 3


def test_one_request_after_the_other_gets_its_own_adapter(adapted: LlamaCppBackend, tiny_model: Path) -> None:
    bare, first, second = (answer(adapted, name) for name in (None, "cdt", "mail"))
    assert [answer(adapted, name) for name in ("mail", None, "cdt", None)] == [second, bare, first, bare]
    without = LlamaCppBackend(tiny_model, slots=4, threads=1)
    assert answer(without, None) == bare
    without.close()


def test_the_model_tells_its_adapters_and_stays_one_model(adapted: LlamaCppBackend, llama: LlamaCppBackend) -> None:
    assert adapted.info.adapters == ("cdt", "mail")
    assert llama.info.adapters == ()
    assert adapted.info.size_bytes == llama.info.size_bytes


def test_a_batch_has_one_adapter_and_a_known_one(adapted: LlamaCppBackend, llama: LlamaCppBackend) -> None:
    mixed = [Chunk(0, 0, [65], None, adapter="cdt"), Chunk(1, 0, [65], None)]
    for batch in (mixed, [Chunk(0, 0, [65], None, adapter="other")]):
        with pytest.raises(DecodeFailed, match="adapter"):
            adapted.decode(batch)
    with pytest.raises(DecodeFailed, match="adapter"):
        llama.decode([Chunk(0, 0, [65], None, adapter="cdt")])


def test_two_sequences_share_a_batch_under_one_adapter(adapted: LlamaCppBackend) -> None:
    samplers = [adapted.sampler(SamplingParameters(temperature=0), PROMPT) for _ in range(2)]
    both = adapted.decode([Chunk(n, 0, PROMPT, samplers[n], adapter="mail") for n in range(2)])
    adapted.clear()
    assert [chosen.token for (chosen,) in both] == [answer(adapted, "mail")[0]] * 2


def test_a_file_that_is_no_adapter_of_the_model_is_refused_by_name(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "page.gguf").write_text("<html>")
    (tmp_path / "cut.gguf").write_bytes(b"GGUF\x03\x00\x00\x00")
    write_tiny_adapter(tmp_path / "narrow.gguf", seed=1, width=32)
    write_tiny_adapter(tmp_path / "foreign.gguf", seed=1, architecture="qwen2")
    reasons = {
        "missing.gguf": "cannot read",
        "page.gguf": "not a GGUF file",
        "cut.gguf": "failed to load lora adapter from file",
        "narrow.gguf": "incorrect shape",
        "foreign.gguf": "arch mismatch",
        tiny_model.name: "general.type",
    }
    (tmp_path / tiny_model.name).symlink_to(tiny_model)
    for name, reason in reasons.items():
        with pytest.raises(BackendError, match=reason) as refusal:
            LlamaCppBackend(tiny_model, slots=1, threads=1, adapters={"a": tmp_path / name})
        assert name in str(refusal.value)


def test_an_adapter_that_starts_in_the_middle_of_the_prompt_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "alora.gguf", "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    key = gguf.Keys.Adapter.ALORA_INVOCATION_TOKENS
    writer.add_key_value(key, [65, 66], gguf.GGUFValueType.ARRAY, sub_type=gguf.GGUFValueType.UINT32)
    finish(writer)
    with pytest.raises(BackendError, match="aLoRA"):
        LlamaCppBackend(tiny_model, slots=1, threads=1, adapters={"a": tmp_path / "alora.gguf"})


def test_a_model_whose_adapters_cannot_be_loaded_is_given_back(
    tiny_model: Path, tmp_path: Path, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    freed: list[object] = []
    free = llama_cpp.llama_model_free

    def counted(model: object) -> None:
        freed.append(model)
        free(model)

    monkeypatch.setattr(llama_cpp, "llama_model_free", counted)
    with pytest.raises(BackendError):
        LlamaCppBackend(tiny_model, slots=1, threads=1, adapters=files | {"bad": tmp_path / "missing.gguf"})
    assert len(freed) == 1
