"""The engine on onnxruntime itself, with a tiny random export."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from ai_core.catalog.entry import ModelEntry
from ai_core.catalog.loading import LoadingOptions, load
from ai_core.engine.backends.base import BackendError, Chosen, Chunk, DecodeFailed
from ai_core.engine.backends.onnx import OnnxBackend
from ai_core.engine.engine import Engine
from ai_core.engine.request import FinishReason, GenerationRequest, SamplingParameters
from tests.ai_core.engine.backends.onnx.tiny_export import LAYERS, write_export
from tests.ai_core.engine.driving import answer, run

SYSTEM = "Vous répondez aux questions sur le temps de travail. "


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_export(tmp_path_factory.mktemp("export") / "modele")


@pytest.fixture
def backend(folder: Path) -> Iterator[OnnxBackend]:
    backend = OnnxBackend(folder, slots=4, threads=1)
    yield backend
    backend.close()


def ask(backend: OnnxBackend, text: str, *, shared: str = "", **sampling: Any) -> GenerationRequest:
    tokens, prefix = (backend.tokenize(part, special=False) for part in (shared + text, shared))
    length = next((n for n, (a, b) in enumerate(zip(prefix, tokens, strict=False)) if a != b), len(prefix))
    parameters = SamplingParameters(**{"temperature": 0.0, "max_tokens": 30, **sampling})
    return GenerationRequest(tokens, shared_prefix=length, sampling=parameters)


def texts(backend: OnnxBackend, *requests: GenerationRequest) -> list[str]:
    return [text for text, _ in run(Engine(backend), *requests)]


def greedy_of_the_graph(folder: Path, prompt: Sequence[int], count: int) -> list[int]:
    """The whole text computed anew for each token, without any past."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    tokens = list(prompt)
    for _ in range(count):
        empty = np.zeros((1, 2, 0, 16), np.float32)
        feed: dict[str, Any] = {
            f"past_key_values.{layer}.{name}": empty for layer in range(LAYERS) for name in ("key", "value")
        }
        feed["input_ids"] = np.array([tokens])
        feed["attention_mask"] = np.ones((1, len(tokens)), np.int64)
        feed["position_ids"] = np.arange(len(tokens))[None]
        tokens.append(int(session.run(["logits"], feed)[0][0, -1].argmax()))
    return tokens[len(prompt) :]


def test_answers_are_those_of_the_graph_itself(folder: Path, backend: OnnxBackend) -> None:
    asked = ask(backend, "Le contrat")
    expected = b"".join(map(backend.piece, greedy_of_the_graph(folder, asked.prompt, 30))).decode()
    assert texts(backend, asked) == [expected]
    assert len(set(expected)) > 3


@pytest.mark.parametrize("shared", ["", SYSTEM])
def test_company_and_a_shared_prefix_change_nothing(backend: OnnxBackend, shared: str) -> None:
    questions = [f"{shared}{'Question ' * n}?" for n in range(1, 9)]
    alone = [texts(backend, ask(backend, question))[0] for question in questions]
    requests = [ask(backend, question.removeprefix(shared), shared=shared) for question in questions]
    assert texts(backend, *requests) == alone
    assert len(set(alone)) > 4


def test_several_answers_are_computed_in_one_run(backend: OnnxBackend) -> None:
    assert "several answers" in backend.info.description
    rows: list[int] = []
    assert backend._export is not None
    session = backend._export.session

    class Counting:
        def run(self, outputs: list[str], feed: dict[str, Any]) -> Any:
            rows.append(len(feed["input_ids"]))
            return session.run(outputs, feed)

    backend._export.session = Counting()
    texts(backend, *[ask(backend, f"Question {n}") for n in range(4)])
    assert rows.count(4) > 20


def test_an_export_without_positions_answers_one_after_the_other(tmp_path: Path) -> None:
    backend = OnnxBackend(write_export(tmp_path / "m", positions=False), slots=3, threads=1)
    assert "one answer" in backend.info.description
    questions = [f"Question {n} ?" for n in range(3)]
    alone = [texts(backend, ask(backend, question))[0] for question in questions]
    assert texts(backend, *[ask(backend, question) for question in questions]) == alone
    backend.close()


def test_a_prompt_in_chunks_gives_what_it_gives_at_once(backend: OnnxBackend) -> None:
    tokens = backend.tokenize(SYSTEM, special=False)
    sampling = SamplingParameters(temperature=0)
    ((whole,),) = backend.decode([Chunk(0, 0, tokens, backend.sampler(sampling, tokens))])
    backend.decode([Chunk(1, 0, tokens[:7], None)])
    ((cut,),) = backend.decode([Chunk(1, 7, tokens[7:], backend.sampler(sampling, tokens))])
    assert cut == whole


def test_parameters_are_honoured(backend: OnnxBackend) -> None:
    (plain,) = texts(backend, ask(backend, "Le contrat"))
    (stopped,) = texts(backend, ask(backend, "Le contrat", stop=(plain[3:5],)))
    assert stopped == plain[: plain.index(plain[3:5])]
    (short,) = texts(backend, ask(backend, "Le contrat", max_tokens=3))
    assert plain.startswith(short)
    assert short != plain
    seeds = [texts(backend, ask(backend, "Le contrat", temperature=1.5, seed=seed))[0] for seed in (1, 1, 2)]
    assert seeds[0] == seeds[1] != seeds[2]
    assert texts(backend, ask(backend, "Le contrat", repetition_penalty=5.0)) != [plain]
    end = backend.tokenize(plain, special=False)[0]
    ((_, finished),) = run(Engine(backend), ask(backend, "Le contrat", eos_token_id=end))
    assert (finished.reason, finished.completion_tokens) == (FinishReason.STOP, 0)


def test_cancelling_frees_the_slot(backend: OnnxBackend) -> None:
    engine = Engine(backend)
    asked = ask(backend, "Le contrat", max_tokens=100)
    engine.submit(asked)
    engine.step()
    engine.step()
    asked.cancel()
    engine.step()
    assert answer(asked)[1].reason is FinishReason.CANCELLED
    assert engine.stats().slots_busy == 0
    assert backend._past == {}


def test_a_failing_run_fails_its_requests_and_the_next_one_works(
    backend: OnnxBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(backend)
    (expected,) = texts(backend, ask(backend, "Le contrat"))
    decode = backend.decode

    def broken(chunks: Sequence[Chunk]) -> list[list[Chosen]]:
        raise DecodeFailed("onnxruntime: injected")

    monkeypatch.setattr(backend, "decode", broken)
    ((_, finished),) = run(engine, ask(backend, "Le contrat"))
    assert finished.reason is FinishReason.ERROR
    monkeypatch.setattr(backend, "decode", decode)
    assert run(engine, ask(backend, "Le contrat"))[0][0] == expected


def test_the_layout_of_onnx_community_with_a_quantised_model(folder: Path, tmp_path: Path) -> None:
    from onnxruntime.quantization import quantize_dynamic

    target = tmp_path / "modele"
    (target / "onnx").mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folder / name, target / name)
    quantize_dynamic(str(folder / "model.onnx"), str(target / "onnx" / "model_quantized.onnx"))
    serving = load(ModelEntry.from_path(target), LoadingOptions(slots=2, threads=1))
    assert serving.backend.info.quantization == "quantized"
    assert isinstance(serving.backend, OnnxBackend)
    text, finished = run(serving.engine, ask(serving.backend, "Le contrat"))[0]  # type: ignore[arg-type]
    assert (len(text) > 10, finished.reason) == (True, FinishReason.LENGTH)
    serving.backend.close()


def test_of_several_files_full_precision_is_taken(folder: Path, tmp_path: Path) -> None:
    target = shutil.copytree(folder, tmp_path / "modele")
    (target / "onnx").mkdir()
    (target / "onnx" / "model_q4.onnx").write_bytes(b"never read")
    backend = OnnxBackend(target, slots=1, threads=1)
    assert backend.info.quantization == "float32"
    backend.close()


def test_what_is_no_such_export_is_refused_by_name(folder: Path, tmp_path: Path) -> None:
    def refused(change: Any, match: str) -> None:
        target = shutil.copytree(folder, tmp_path / match.replace("/", "-").replace(" ", "-"))
        change(target)
        with pytest.raises(BackendError, match=match):
            OnnxBackend(target, slots=1, threads=1)

    def without_past(target: Path) -> None:
        graph = onnx.helper.make_graph(
            [onnx.helper.make_node("Identity", ["input_ids"], ["logits"])],
            "encoder",
            [onnx.helper.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, ["a", "b"])],
            [onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.INT64, ["a", "b"])],
        )
        opset = [onnx.helper.make_opsetid("", 17)]
        onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=opset), str(target / "model.onnx"))

    refused(lambda target: (target / "model.onnx").unlink(), "no ONNX model")
    refused(lambda target: (target / "model.onnx").write_bytes(b"broken"), "cannot be loaded")
    refused(lambda target: (target / "config.json").unlink(), "config.json cannot be read")
    refused(lambda target: (target / "tokenizer.json").unlink(), "no tokenizer.json")
    refused(without_past, "no past key/values")


def test_a_batch_that_does_not_follow_memory_is_refused(backend: OnnxBackend) -> None:
    for chunks in (
        [Chunk(0, 3, [1], None)],
        [Chunk(9, 0, [1], None)],
        [Chunk(0, 0, [1], None), Chunk(0, 0, [1], None)],
        [Chunk(0, 0, [1, 2], None, drafted=1)],
        [Chunk(0, 0, [1], None, adapter="lora")],
        [Chunk(0, 0, [], None)],
    ):
        with pytest.raises(DecodeFailed):
            backend.decode(chunks)


def test_an_unloaded_model_says_so(folder: Path) -> None:
    backend = OnnxBackend(folder, slots=1, threads=1)
    backend.close()
    backend.close()
    with pytest.raises(BackendError, match="unloaded"):
        backend.tokenize("a", special=False)
    with pytest.raises(BackendError, match="unloaded"):
        backend.decode([Chunk(0, 0, [1], None)])
