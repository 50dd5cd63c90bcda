"""What can be loaded from a folder, what is refused and why, and that memory comes back."""

from __future__ import annotations

import json
import logging
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from ai_core.engine.backends.base import BackendError, Chunk
from ai_core.engine.backends.transformers import TransformersBackend
from ai_core.engine.backends.transformers.checkpoint import default_dtype
from ai_core.engine.engine import Engine, InvalidRequest, PromptTooLong
from ai_core.engine.request import FinishReason
from tests.ai_core.engine.backends.transformers.asking import ask
from tests.ai_core.engine.backends.transformers.conftest import Load
from tests.ai_core.engine.backends.transformers.tiny_hub_model import (
    CONTEXT,
    END,
    write_hub_model,
    write_pytorch_model,
    write_sentencepiece_model,
    write_tokenizer,
)
from tests.ai_core.engine.driving import run

WRITERS: dict[str, Callable[[Path], Path]] = {
    "safetensors": write_hub_model,
    "safetensors in shards": lambda folder: write_hub_model(folder, shard="100KB"),
    "safetensors by another name": lambda folder: renamed(
        write_hub_model(folder), "model.safetensors", "lois.safetensors"
    ),
    "pytorch bin": write_pytorch_model,
    "pytorch pth": lambda folder: write_pytorch_model(folder, name="model.pth"),
}


def renamed(folder: Path, name: str, new: str) -> Path:
    (folder / name).rename(folder / new)
    return folder


def changed(folder: Path, **fields: Any) -> Path:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))
    return folder


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_every_way_to_keep_weights_answers_alike(
    load: Load, llama: TransformersBackend, tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    backend = load(write(tmp_path / "model"))
    question = ask(backend, "Question ?", max_tokens=30)
    assert run(Engine(backend), question)[0][0] == run(Engine(llama), ask(llama, "Question ?", max_tokens=30))[0][0]


def test_shards_are_really_several(qwen_folder: Path) -> None:
    assert len(list(qwen_folder.glob("*.safetensors"))) > 1


def test_a_file_of_weights_is_loaded_with_the_folder_it_lies_in(load: Load, tmp_path: Path) -> None:
    folder = write_pytorch_model(tmp_path / "model", name="lois.pth")
    backend = load(folder / "lois.pth")
    assert backend.info.name == "lois"
    assert run(Engine(backend), ask(backend, "Question ?"))[0][1].completion_tokens == 20


def test_the_model_describes_itself(llama: TransformersBackend) -> None:
    info = llama.info
    assert (info.name, info.architecture, info.quantization) == ("tiny-llama", "llama", "float32")
    assert (info.context_length, info.slots) == (CONTEXT, 4)
    assert (info.bos_token, info.eos_token) == ("<|im_start|>", "<|im_end|>")
    assert "<|im_start|>" in (info.chat_template or "")
    assert info.size_bytes == sum(weight.nbytes for weight in llama._model.parameters()) > 200_000
    assert {"num_beams", "length_penalty", "early_stopping", "eos_token_id", "pad_token_id", "seed"} <= info.honours
    assert info.adapters == ()


def test_text_survives_the_tokenizer(llama: TransformersBackend) -> None:
    text = "L'été à Noël 😀 نعم<|im_end|>"
    plain = llama.tokenize(text, special=False)
    assert b"".join(llama.piece(token) for token in plain).decode() == text
    assert llama.tokenize("a<|im_end|>", special=True)[-1] == END
    assert llama.is_end(END)


def test_a_sentencepiece_file_is_a_tokenizer_too(load: Load, tmp_path: Path) -> None:
    folder = write_sentencepiece_model(tmp_path / "old")
    assert not (folder / "tokenizer.json").exists()
    backend = load(folder)
    text = "L'été, le licenciement 😀"
    tokens = backend.tokenize(text, special=False)
    assert b"".join(backend.piece(token) for token in tokens).decode().strip() == text
    assert (backend.info.bos_token, backend.info.eos_token, backend.is_end(2)) == ("<s>", "</s>", True)
    ((answered, finished),) = run(Engine(backend), ask(backend, "Question ?"))
    assert answered
    assert finished.reason is not FinishReason.ERROR


def test_a_model_without_an_end_token_answers_up_to_the_limit(load: Load, tmp_path: Path) -> None:
    folder = changed(write_hub_model(tmp_path / "endless"), eos_token_id=None)
    (folder / "generation_config.json").unlink()
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "eos_token": None}))
    backend = load(folder)
    engine = Engine(backend)
    answers = run(engine, ask(backend, "Question ?"), ask(backend, "Question ?", num_beams=2))
    assert [finished.completion_tokens for _, finished in answers] == [20, 20]
    for beams in (1, 2):
        with pytest.raises(InvalidRequest, match="no end token"):
            engine.submit(ask(backend, "Question ?", num_beams=beams, eos_token_id=70))


@pytest.mark.parametrize(("dtype", "asked"), [("bfloat16", None), ("float32", "float32"), ("bfloat16", "bfloat16")])
def test_weights_are_computed_with_as_they_are_kept_or_as_asked(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, asked: str | None
) -> None:
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: True)
    backend = load(changed(write_hub_model(tmp_path / "model"), dtype="bfloat16"), dtype=asked)
    assert backend.info.quantization == dtype
    assert backend._model.dtype == getattr(torch, dtype)
    assert run(Engine(backend), ask(backend, "Question ?"))[0][1].completion_tokens == 20


def test_bfloat16_is_not_computed_with_where_the_processor_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: False)
    assert default_dtype(transformers.LlamaConfig(dtype="bfloat16")) == torch.float32
    assert default_dtype(transformers.LlamaConfig(dtype="float16")) == torch.float32
    assert default_dtype(transformers.LlamaConfig(dtype="float16"), "cuda") == torch.float16


def test_what_a_file_suggests_does_not_mix_with_what_a_request_asks_for(load: Load, tmp_path: Path) -> None:
    folder = write_hub_model(tmp_path / "model")
    plain, suggesting = load(folder), write_hub_model(tmp_path / "suggesting")
    suggested = {"repetition_penalty": 9.0, "num_beams": 2, "do_sample": True, "temperature": 5.0, "eos_token_id": END}
    (suggesting / "generation_config.json").write_text(json.dumps(suggested))
    other = load(suggesting)
    for beams in (1, 3):
        texts = {run(Engine(backend), ask(backend, "Question ?", num_beams=beams))[0][0] for backend in (plain, other)}
        assert len(texts) == 1


def test_a_prompt_longer_than_the_context_is_refused(load: Load, llama_folder: Path) -> None:
    backend = load(llama_folder, context_length=16)
    with pytest.raises(PromptTooLong) as refusal:
        Engine(backend).submit(ask(backend, "Une longue question ? " * 10))
    assert refusal.value.limit == 15


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "empty")
    with pytest.raises(BackendError, match=r"empty/config\.json"):
        TransformersBackend(tmp_path / "empty")
    with pytest.raises(BackendError, match=r"missing/config\.json"):
        TransformersBackend(tmp_path / "missing")


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    folder = write_hub_model(tmp_path / "bare")
    (folder / "model.safetensors").unlink()
    with pytest.raises(BackendError, match="bare holds no weights"):
        TransformersBackend(folder)


def test_a_file_that_was_cut_is_refused(tmp_path: Path) -> None:
    folder = write_hub_model(tmp_path / "cut")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    with pytest.raises(BackendError, match="cannot load cut"):
        TransformersBackend(folder)


def test_a_model_that_lacks_weights_is_refused_and_not_filled_with_random_ones(tmp_path: Path) -> None:
    folder = write_pytorch_model(tmp_path / "holes")
    weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    del weights["model.layers.1.mlp.up_proj.weight"]
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(BackendError, match=r"holes lacks 1 of its weights, model\.layers\.1\.mlp"):
        TransformersBackend(folder)


class Trap:
    """Runs code when it is unpickled the usual way."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("sprung"),)


@pytest.mark.parametrize("save", [torch.save, lambda trap, file: file.write_bytes(pickle.dumps(trap))])
def test_a_pickle_that_runs_code_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save: Callable[[Any, Path], Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write_pytorch_model(tmp_path / "trap")
    save({"model.norm.weight": Trap()}, folder / "pytorch_model.bin")
    with pytest.raises(BackendError, match="trap holds pickled objects other than weights"):
        TransformersBackend(folder)
    assert not (tmp_path / "sprung").exists()


def test_an_unknown_architecture_is_refused(tmp_path: Path) -> None:
    folder = changed(write_hub_model(tmp_path / "odd"), model_type="nouveau")
    with pytest.raises(BackendError, match="odd: the architecture 'nouveau' is unknown here"):
        TransformersBackend(folder)


def test_a_model_with_code_of_its_own_is_refused_and_its_code_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"AutoConfig": "modeling.Config", "AutoModelForCausalLM": "modeling.Model"}
    folder = changed(write_hub_model(tmp_path / "own"), model_type="nouveau", auto_map=names)
    (folder / "modeling.py").write_text("from pathlib import Path\nPath('sprung').touch()\n")
    with pytest.raises(BackendError, match="comes with code of its own, which is never run"):
        TransformersBackend(folder)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"model_type": "t5", "is_encoder_decoder": True, "architectures": ["T5ForConditionalGeneration"]},
        {"model_type": "bert", "architectures": ["BertForMaskedLM"]},
    ],
    ids=["encoder and decoder", "encoder"],
)
def test_a_model_that_is_no_decoder_is_refused(tmp_path: Path, fields: dict[str, Any]) -> None:
    folder = changed(write_hub_model(tmp_path / "other"), **fields)
    with pytest.raises(BackendError, match="does not generate text as a decoder"):
        TransformersBackend(folder)


def test_a_configuration_that_is_none_is_refused(tmp_path: Path) -> None:
    folder = write_hub_model(tmp_path / "page")
    (folder / "config.json").write_text("<html>")
    with pytest.raises(BackendError, match=r"page/config\.json does not describe a model"):
        TransformersBackend(folder)


def test_an_unloaded_model_refuses_instead_of_crashing(llama_folder: Path) -> None:
    backend = TransformersBackend(llama_folder)
    backend.close()
    backend.close()
    with pytest.raises(BackendError):
        backend.tokenize("a", special=False)
    with pytest.raises(BackendError):
        backend.decode([Chunk(0, 0, [65], None)])


def test_closing_while_beams_search_ends_them(llama_folder: Path) -> None:
    backend = TransformersBackend(llama_folder)
    engine = Engine(backend)
    before = threading.active_count()
    engine.submit(ask(backend, "Question ?", num_beams=3, max_tokens=100))
    for _ in range(3):
        engine.step()
    assert threading.active_count() == before + 1
    backend.close()
    assert threading.active_count() == before


def test_memory_comes_back_when_a_model_is_unloaded(load: Load, tmp_path: Path) -> None:
    folder = write_hub_model(tmp_path / "large", hidden_size=1024, intermediate_size=2816, num_hidden_layers=2)
    process = psutil.Process()
    load(folder).close()  # what the library itself keeps
    before = process.memory_info().rss
    backend = load(folder)
    run(Engine(backend), ask(backend, "Question ?"), ask(backend, "Question ?", num_beams=2))
    loaded = process.memory_info().rss
    size = backend.info.size_bytes
    backend.close()
    after = process.memory_info().rss
    assert size > 80 * 2**20
    assert loaded - before > 0.8 * size
    assert after - before < 0.2 * size


def test_loading_is_quiet(
    llama_folder: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    TransformersBackend(llama_folder).close()
    assert capfd.readouterr() == ("", "")
