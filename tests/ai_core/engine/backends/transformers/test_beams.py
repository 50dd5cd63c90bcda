"""Beam search: the library's own answers, while other requests run."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from ai_core.engine.backends.base import Chunk, OutOfCells
from ai_core.engine.backends.transformers import TransformersBackend
from ai_core.engine.engine import Engine, InvalidRequest
from ai_core.engine.request import FinishReason
from tests.ai_core.engine.backends.transformers.asking import SYSTEM, ask, library_answer, model_answer, text_of
from tests.ai_core.engine.backends.transformers.conftest import Load
from tests.ai_core.engine.backends.transformers.tiny_hub_model import END, write_hub_model
from tests.ai_core.engine.driving import answer, run

SEARCHES: list[dict[str, Any]] = [
    {"num_beams": 2},
    {"num_beams": 4, "length_penalty": 0.0},
    {"num_beams": 4, "length_penalty": 2.0, "early_stopping": True},
    {"num_beams": 10, "length_penalty": 1.0},
    {"num_beams": 3, "repetition_penalty": 1.5},
]


@pytest.fixture(scope="module")
def ending_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose answers may end by themselves."""
    return write_hub_model(tmp_path_factory.mktemp("hub") / "ending", ends=True, seed=3)


@pytest.fixture
def ending(load: Load, ending_folder: Path) -> TransformersBackend:
    return load(ending_folder, slots=6)


@pytest.mark.parametrize("search", SEARCHES, ids=str)
def test_beams_find_what_the_library_finds(
    ending: TransformersBackend, ending_folder: Path, search: dict[str, Any]
) -> None:
    asked = [ask(ending, f"Question {number} ?", shared=SYSTEM, **search) for number in range(3)]
    expected = [library_answer(ending_folder, list(one.prompt), **search) for one in asked]
    greedy = ask(ending, "Question ?", shared=SYSTEM)
    answers = run(Engine(ending), *asked, greedy)
    assert [text for text, _ in answers[:3]] == [text_of(ending, tokens) for tokens in expected]
    for (_, finished), tokens in zip(answers, expected, strict=False):
        reason = FinishReason.LENGTH if len(tokens) == 20 else FinishReason.STOP
        assert (finished.reason, finished.completion_tokens) == (reason, len(tokens))
    assert answers[3][0] == text_of(ending, library_answer(ending_folder, list(greedy.prompt)))


def test_some_beams_end_and_some_reach_the_limit(ending: TransformersBackend) -> None:
    penalties = [0.0, 0.0, 0.0, 2.0, 2.0, 2.0]
    asked = [ask(ending, f"{n} ?", num_beams=4, length_penalty=penalty) for n, penalty in enumerate(penalties)]
    reasons = {finished.reason for _, finished in run(Engine(ending), *asked)}
    assert reasons == {FinishReason.STOP, FinishReason.LENGTH}


def test_beams_of_a_long_prompt_that_was_read_in_chunks(llama: TransformersBackend, llama_folder: Path) -> None:
    asked = ask(llama, SYSTEM * 10, num_beams=3)
    others = [ask(llama, f"{number} ?", max_tokens=30) for number in range(2)]
    texts = [text for text, _ in run(Engine(llama), *others, asked)]
    assert texts[2] == text_of(llama, library_answer(llama_folder, list(asked.prompt), num_beams=3))


def test_beams_on_a_recurrent_model(load: Load, tmp_path: Path) -> None:
    folder = write_hub_model(tmp_path / "mamba", "Mamba", state_size=8)
    backend = load(folder)
    asked = ask(backend, "Question ?", num_beams=3)
    ((text, _),) = run(Engine(backend), asked)
    assert text == text_of(backend, library_answer(folder, list(asked.prompt), num_beams=3))


def test_other_answers_go_on_while_beams_search(llama: TransformersBackend) -> None:
    engine = Engine(llama)
    searching = ask(llama, "Question ?", num_beams=4, max_tokens=60)
    other = ask(llama, "Autre question ?", max_tokens=10)
    engine.submit(searching)
    for _ in range(3):
        engine.step()
    engine.submit(other)
    for _ in range(11):
        engine.step()
    assert answer(other)[1].completion_tokens == 10
    assert searching.next_event(0) is None
    while engine.step():
        pass
    assert answer(searching)[1].completion_tokens == 60


@pytest.mark.parametrize("end", [FinishReason.CANCELLED, FinishReason.DEADLINE])
def test_beams_end_when_asked_to(llama: TransformersBackend, end: FinishReason) -> None:
    now = [100.0]
    engine = Engine(llama, clock=lambda: now[0])
    before = threading.active_count()
    asked = ask(llama, "Question ?", num_beams=4, max_tokens=300, deadline=110.0)
    engine.submit(asked)
    for _ in range(3):
        engine.step()
    assert threading.active_count() == before + 1
    if end is FinishReason.CANCELLED:
        asked.cancel()
    else:
        now[0] = 111.0
    engine.step()
    assert answer(asked)[1].reason is end
    assert threading.active_count() == before
    assert llama._sequences.cells + llama._beams.cells == engine.stats().kv_cells_used


def test_drawn_beams_depend_on_their_seed_alone(llama: TransformersBackend) -> None:
    drawing: dict[str, Any] = {"num_beams": 3, "temperature": 1.5, "top_k": 40, "top_p": 0.95, "max_tokens": 15}
    ((alone, _),) = run(Engine(llama), ask(llama, "Question ?", seed=7, **drawing))
    company = [ask(llama, f"{number} ?", seed=number, **drawing) for number in range(2)]
    answers = run(Engine(llama), *company, ask(llama, "Question ?", seed=7, **drawing), ask(llama, "Autre ?"))
    assert answers[2][0] == alone
    others = {run(Engine(llama), ask(llama, "Question ?", seed=seed, **drawing))[0][0] for seed in range(4)}
    assert len(others) > 1


@pytest.mark.parametrize("changed", [{}, {"temperature": 3.0}, {"top_k": 3}, {"top_p": 0.3}], ids=str)
def test_drawn_beams_are_those_that_the_library_draws(
    llama: TransformersBackend, llama_folder: Path, changed: dict[str, Any]
) -> None:
    drawing = {"temperature": 1.5, "top_k": 40, "top_p": 0.95, "num_beams": 3, **changed}
    asked = ask(llama, "Question ?", seed=7, **drawing)
    ((text, _),) = run(Engine(llama), asked)
    model = transformers.AutoModelForCausalLM.from_pretrained(llama_folder)
    torch.manual_seed(7)
    assert text == text_of(llama, model_answer(model, list(asked.prompt), do_sample=True, **drawing))


def test_an_end_token_of_the_requests_own_ends_beams(llama: TransformersBackend, llama_folder: Path) -> None:
    plain = library_answer(llama_folder, list(ask(llama, "Question ?").prompt), num_beams=2)
    own = plain[7]
    asked = ask(llama, "Question ?", num_beams=2, eos_token_id=own, pad_token_id=5)
    model = transformers.AutoModelForCausalLM.from_pretrained(llama_folder)
    expected = model_answer(model, list(asked.prompt), num_beams=2, eos_token_id=own, suppress_tokens=[END])
    ((text, finished),) = run(Engine(llama), asked)
    assert finished.reason is FinishReason.STOP
    assert text == text_of(llama, expected[: expected.index(own)])


def test_beams_keep_to_given_texts(llama: TransformersBackend) -> None:
    texts = [" licenciement", " licence", " démission"]
    choices = tuple(tuple(llama.tokenize(text, special=False)) for text in texts)
    answers = run(Engine(llama), *[ask(llama, f"{n} ?", num_beams=4, choices=choices, max_tokens=60) for n in range(3)])
    assert {text for text, _ in answers} <= set(texts)
    assert {finished.reason for _, finished in answers} == {FinishReason.STOP}


def test_penalties_count_for_beams(llama: TransformersBackend) -> None:
    plain, *penalized = run(
        Engine(llama),
        ask(llama, "Question ?", num_beams=2, max_tokens=60),
        ask(llama, "Question ?", num_beams=2, max_tokens=60, frequency_penalty=2.0),
        ask(llama, "Question ?", num_beams=2, max_tokens=60, presence_penalty=2.0),
        ask(llama, "Question ?", num_beams=2, max_tokens=60, repetition_penalty=1.8),
    )
    for text, _ in penalized:
        assert text != plain[0]


def test_what_beams_cannot_do_is_refused(load: Load, llama_folder: Path) -> None:
    backend = load(llama_folder, slots=1, cells=256)
    engine = Engine(backend)
    with pytest.raises(InvalidRequest, match="log-prob"):
        engine.submit(ask(backend, "Question ?", num_beams=2, logprobs=1))
    with pytest.raises(InvalidRequest, match="memory"):
        engine.submit(ask(backend, "Question ?", num_beams=10, max_tokens=100))


def test_a_failing_search_leaves_a_model_that_answers(
    llama: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(llama)
    with monkeypatch.context() as patch:
        patch.setattr(type(llama._model), "_beam_search", lambda *_, **__: 1 / 0)
        ((_, failed),) = run(engine, ask(llama, "Question ?", num_beams=2))
    assert failed.reason is FinishReason.ERROR
    assert run(engine, ask(llama, "Question ?", num_beams=2))[0][1].reason is FinishReason.LENGTH


def test_beams_count_in_memory(load: Load, llama_folder: Path) -> None:
    backend = load(llama_folder, cells=128)
    asked = ask(backend, "Question ?", num_beams=4, max_tokens=10)
    sampler = backend.sampler(asked.sampling, asked.prompt)
    backend.decode([Chunk(0, 0, asked.prompt, sampler)])
    with pytest.raises(OutOfCells):
        backend.decode([Chunk(1, 0, [65] * 90, None)])
