"""LoRA adapters over one base: each changes the answers of those who ask for it, of nobody else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from ai_core.engine.backends.base import BackendError
from ai_core.engine.backends.transformers import TransformersBackend
from ai_core.engine.engine import Engine
from tests.ai_core.engine.backends.transformers.asking import SYSTEM, ask, model_answer, text_of
from tests.ai_core.engine.backends.transformers.conftest import Load
from tests.ai_core.engine.backends.transformers.tiny_hub_model import write_hub_model, write_lora
from tests.ai_core.engine.driving import run

Folders = dict[str, Path]


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory, llama_folder: Path) -> Folders:
    folder = tmp_path_factory.mktemp("adapters")
    return {
        "courrier": write_lora(folder / "courrier", llama_folder, seed=1),
        "syndicats.v2": write_lora(folder / "syndicats", llama_folder, seed=2, r=2, target_modules=["o_proj"]),
    }


def adapted_answer(base: Path, adapter: Path | None, prompt: list[int], **options: Any) -> list[int]:
    """What peft and the library give, with weights of their own."""
    import peft
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    if adapter is not None:
        model = peft.PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    return model_answer(model, prompt, **options)


@pytest.mark.parametrize("beams", [1, 3])
def test_each_adapter_answers_as_it_does_by_itself_and_the_base_stays_bare(
    load: Load, llama_folder: Path, adapters: Folders, beams: int
) -> None:
    backend = load(llama_folder, adapters=adapters, slots=6)
    names = [None, *adapters] * 2
    asked = [
        ask(backend, f"Question {number} ?", shared=SYSTEM, adapter=name, num_beams=beams)
        for number, name in enumerate(names)
    ]
    answers = [text for text, _ in run(Engine(backend), *asked)]
    for text, one in zip(answers, asked, strict=True):
        folder = adapters[one.adapter] if one.adapter else None
        assert text == text_of(backend, adapted_answer(llama_folder, folder, list(one.prompt), num_beams=beams))
    assert len(set(answers)) == len(answers)


def test_adapters_share_the_base_and_are_named(load: Load, llama_folder: Path, adapters: Folders) -> None:
    bare, adapted = load(llama_folder), load(llama_folder, adapters=adapters)
    assert adapted.info.adapters == ("courrier", "syndicats.v2")
    assert bare.info.size_bytes < adapted.info.size_bytes < 1.2 * bare.info.size_bytes


def refused(base: Path, folder: Path, reason: str) -> None:
    with pytest.raises(BackendError, match=reason):
        TransformersBackend(base, adapters={"droit": folder}).close()


def changed(folder: Path, **fields: Any) -> Path:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))
    return folder


def with_weights(folder: Path, change: Any) -> Path:
    file = folder / "adapter_model.safetensors"
    weights = safetensors.torch.load_file(file)
    change(weights)
    safetensors.torch.save_file(weights, file)
    return folder


def test_a_folder_without_an_adapter_is_refused(tmp_path: Path, llama_folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(llama_folder, tmp_path / "empty", r"adapter droit: empty holds no adapter_config\.json")
    folder = write_lora(tmp_path / "bare", llama_folder)
    (folder / "adapter_model.safetensors").unlink()
    refused(llama_folder, folder, "adapter droit: bare holds no adapter_model")


def test_an_adapter_for_another_model_is_refused(tmp_path: Path, llama_folder: Path) -> None:
    wider = write_hub_model(tmp_path / "wider", hidden_size=128)
    refused(llama_folder, write_lora(tmp_path / "lora", wider), "adapter droit does not fit this model")
    other = write_hub_model(tmp_path / "other", "GPT2", n_embd=64, n_layer=2, n_head=4, n_positions=128)
    folder = write_lora(tmp_path / "gpt", other, target_modules=["c_attn"])
    refused(llama_folder, folder, "adapter droit does not fit this model")


def test_an_adapter_for_a_deeper_model_is_refused(tmp_path: Path, llama_folder: Path) -> None:
    deeper = write_hub_model(tmp_path / "deeper", num_hidden_layers=3)
    refused(
        llama_folder,
        write_lora(tmp_path / "lora", deeper),
        r"adapter droit does not fit this model, which has no .*layers\.2\.",
    )


def test_an_adapter_that_lacks_weights_is_refused(tmp_path: Path, llama_folder: Path) -> None:
    folder = with_weights(write_lora(tmp_path / "lora", llama_folder), lambda weights: weights.popitem())
    refused(llama_folder, folder, "adapter droit lacks weights: ")


def test_an_adapter_with_whole_weights_is_refused_before_it_replaces_the_bases(
    tmp_path: Path, llama_folder: Path
) -> None:
    def resize(weights: dict[str, torch.Tensor]) -> None:
        weights["base_model.model.model.embed_tokens.weight"] = torch.zeros(310, 64)

    folder = with_weights(write_lora(tmp_path / "lora", llama_folder), resize)
    refused(llama_folder, folder, "adapter droit: it holds .*embed_tokens.*resized embeddings")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"modules_to_save": ["lm_head"]}, "modules_to_save is not supported"),
        ({"peft_type": "IA3"}, "IA3 is not LoRA"),
        ({"bias": "all"}, "changes the base"),
        ({"init_lora_weights": "pissa"}, "changes the base"),
    ],
    ids=lambda value: str(value),
)
def test_what_is_more_than_lora_is_refused(
    tmp_path: Path, llama_folder: Path, fields: dict[str, Any], reason: str
) -> None:
    refused(llama_folder, changed(write_lora(tmp_path / "lora", llama_folder), **fields), f"adapter droit: .*{reason}")


def test_a_cut_adapter_is_refused(tmp_path: Path, llama_folder: Path) -> None:
    file = write_lora(tmp_path / "lora", llama_folder) / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    refused(llama_folder, file.parent, "adapter droit does not fit this model")
