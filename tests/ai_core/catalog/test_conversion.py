"""Models of the Hub's formats become GGUF files that give the same answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from ai_core.catalog import conversion
from ai_core.catalog.conversion import best_quantisation, conversion_job, plan_conversion
from ai_core.catalog.convert_child import RULES, _named_by_rule
from ai_core.catalog.errors import BrokenModel, CatalogError, TargetTaken
from ai_core.catalog.formats import Format
from ai_core.catalog.inspection import file_type, inspect
from ai_core.catalog.job import Job, JobStatus
from ai_core.catalog.memory import Load, NotEnoughMemory
from ai_core.catalog.quantised_size import named
from ai_core.engine.backends.base import Chunk
from ai_core.engine.backends.llama_cpp import LlamaCppBackend
from ai_core.engine.sampling import SamplingParameters
from tests.ai_core.catalog.test_job import finished
from tests.ai_core.engine.backends.transformers.tiny_hub_model import write_hub_model, write_pytorch_model

LOAD = Load(slots=1, context_length=256)
PROMPT = "Le contrat de travail est rompu par"
NEW_TOKENS = 24


def convert(folder: Path, to: str, target: Path, data_dir: Path) -> Job:
    return finished(conversion_job(plan_conversion(folder, named(to), target), data_dir))


def greedy_of_llama_cpp(path: Path) -> list[int]:
    backend = LlamaCppBackend(path, slots=1, threads=1)
    chosen: list[int] = []
    tokens = prompt = backend.tokenize(PROMPT, special=False)
    sampler = backend.sampler(SamplingParameters(temperature=0.0), prompt)
    for _ in range(NEW_TOKENS):
        position = len(prompt) + len(chosen) - len(tokens)
        [[choice]] = backend.decode([Chunk(0, position, tokens, sampler)])
        chosen.append(choice.token)
        tokens = [choice.token]
    backend.close()
    return chosen


def greedy_of_transformers(folder: Path, dtype: torch.dtype) -> list[int]:
    import tokenizers
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    prompt = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).encode(PROMPT).ids
    with torch.inference_mode():
        answer = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=NEW_TOKENS)
    return [int(token) for token in answer[0][len(prompt) :]]


@pytest.mark.parametrize(("kind", "to", "dtype"), [("Llama", "F32", torch.float32), ("Qwen2", "F16", torch.float16)])
def test_a_converted_model_gives_the_same_greedy_answer(
    kind: str, to: str, dtype: torch.dtype, tmp_path: Path, converter_data_dir: Path
) -> None:
    # transformers adds tokens of Qwen's to a vocabulary that lacks them, so there must be room.
    folder = write_hub_model(tmp_path / "hub", kind, vocab_size=320)
    target = tmp_path / "converted.gguf"
    job = convert(folder, to, target, converter_data_dir)
    assert (job.status, job.error, job.result) == (JobStatus.DONE, None, target)
    before, after = inspect(folder, LOAD), inspect(target, LOAD)
    assert (after.format, after.quantisation) == (Format.GGUF, to)
    assert (after.context_length, after.has_chat_template) == (before.context_length, True)
    assert after.parameters == before.parameters
    assert greedy_of_llama_cpp(target) == greedy_of_transformers(folder, dtype)


def test_pytorch_weights_are_quantised_on_the_way_and_only_the_result_stays(
    tmp_path: Path, converter_data_dir: Path
) -> None:
    folder = write_pytorch_model(tmp_path / "hub")
    change_config(folder, architectures=["LlamaForCausalLM"])
    plan = plan_conversion(folder, named("Q4_K_M"), tmp_path / "out" / "small.gguf")
    assert plan.between is named("F16")
    job = finished(conversion_job(plan, converter_data_dir))
    assert (job.error, job.percent, job.step) == (None, 100, "quantising to Q4_K_M")
    assert file_type(tmp_path / "out" / "small.gguf") == "Q4_K_M"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["small.gguf"]
    assert len(greedy_of_llama_cpp(tmp_path / "out" / "small.gguf")) == NEW_TOKENS


def test_an_architecture_that_llama_cpp_lacks_is_named(
    hub_folder: Path, tmp_path: Path, converter_data_dir: Path
) -> None:
    folder = Path(shutil.copytree(hub_folder, tmp_path / "odd"))
    change_config(folder, architectures=["OracleForCausalLM"])
    job = convert(folder, "F16", tmp_path / "converted.gguf", converter_data_dir)
    assert job.status is JobStatus.FAILED
    assert job.error == f"{folder}: llama.cpp does not run models of the architecture OracleForCausalLM"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["odd"]


def test_a_models_own_code_is_never_run(hub_folder: Path, tmp_path: Path, converter_data_dir: Path) -> None:
    folder = Path(shutil.copytree(hub_folder, tmp_path / "odd"))
    sprung = tmp_path / "sprung"
    (folder / "trap.py").write_text(f"import pathlib\npathlib.Path({str(sprung)!r}).touch()\nclass Trap: pass\n")
    change_config(folder, model_type="trap", auto_map={"AutoConfig": "trap.Trap", "AutoTokenizer": ["trap.Trap", None]})
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    tokenizer |= {"auto_map": {"AutoTokenizer": ["trap.Trap", None]}, "tokenizer_class": "Trap"}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    job = convert(folder, "F16", tmp_path / "converted.gguf", converter_data_dir)
    assert not sprung.exists()
    assert job.error is not None
    assert job.error.startswith(f"{folder} could not be converted: ")
    assert not (tmp_path / "converted.gguf").exists()


def change_config(folder: Path, **fields: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_what_cannot_be_converted_is_refused_before_the_start(
    hub_folder: Path, tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CatalogError, match="is gguf in one file; give the folder"):
        plan_conversion(tiny_gguf, named("F16"))
    with pytest.raises(CatalogError, match="is safetensors in one file; give the folder"):
        plan_conversion(hub_folder / "model.safetensors", named("F16"))
    with pytest.raises(CatalogError, match="is gguf; only safetensors and PyTorch"):
        plan_conversion(tiny_gguf.parent, named("F16"))
    (tmp_path / "there.gguf").touch()
    with pytest.raises(TargetTaken, match="there.gguf exists already"):
        plan_conversion(hub_folder, named("F16"), tmp_path / "there.gguf")
    folder = Path(shutil.copytree(hub_folder, tmp_path / "nameless"))
    change_config(folder, architectures=None)
    with pytest.raises(BrokenModel, match="does not name the model's architecture"):
        plan_conversion(folder, named("F16"))
    monkeypatch.setattr(conversion, "LIBRARIES", ("torch", "no_such_library"))
    with pytest.raises(CatalogError, match=r"needs no_such_library: pip install -r requirements/torch\.txt"):
        plan_conversion(hub_folder, named("F16"))


def test_the_best_that_fits_is_chosen(hub_folder: Path) -> None:
    assert best_quantisation(hub_folder, LOAD, 2**40).name == "F16"
    with pytest.raises(NotEnoughMemory):
        best_quantisation(hub_folder, LOAD, 1)


def test_the_rules_of_tokenizers_are_known_by_what_they_say() -> None:
    level = {"type": "ByteLevel", "add_prefix_space": False}
    assert _named_by_rule(level | {"use_regex": True}) == "gpt-2"
    for rule, name in RULES.items():
        steps = [{"type": "Split", "pattern": {"Regex": rule}}, level | {"use_regex": False}]
        assert _named_by_rule({"type": "Sequence", "pretokenizers": steps}) == name
    assert _named_by_rule({"type": "Metaspace"}) is None
    assert _named_by_rule({}) is None
