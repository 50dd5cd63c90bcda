"""An answer that must be one of several texts is one of them, and the model decides which."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_core.engine.backends.llama_cpp import LlamaCppBackend
from ai_core.engine.choices import Choice
from ai_core.engine.engine import Engine
from ai_core.engine.request import Finished, FinishReason, GenerationRequest, SamplingParameters, TextChunk

END = 0


def walk(
    choices: list[list[int]], seed: int, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> list[int]:
    sampling = SamplingParameters(
        temperature=temperature, top_k=top_k, top_p=top_p, seed=seed, choices=tuple(map(tuple, choices))
    )
    choice = Choice(sampling, END)
    taken: list[int] = []
    while not taken or taken[-1] != END:
        taken.append(choice.take(choice.choose({token: math.sin(token * 7) for token in choice.options})))
    return taken[:-1]


@given(st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=6), min_size=1, max_size=8), st.integers(0, 50))
def test_the_answer_is_always_one_of_the_choices(choices: list[list[int]], seed: int) -> None:
    assert walk(choices, seed) in choices


def test_a_choice_may_begin_another() -> None:
    found = {tuple(walk([[1], [1, 2]], seed)) for seed in range(50)}
    assert found == {(1,), (1, 2)}


def test_the_same_seed_chooses_the_same() -> None:
    choices = [[1, 2], [3, 4], [5]]
    assert [walk(choices, 7) for _ in range(5)] == [walk(choices, 7)] * 5


def test_greedy_and_top_k_one_take_the_likeliest() -> None:
    choices = [[token] for token in range(1, 9)]
    likeliest = max(range(1, 9), key=lambda token: math.sin(token * 7))
    assert walk(choices, 1, temperature=0.0) == [likeliest]
    assert {walk(choices, seed, top_k=1)[0] for seed in range(20)} == {likeliest}


def test_a_small_top_p_leaves_only_the_likeliest() -> None:
    choices = [[token] for token in range(1, 9)]
    likeliest = max(range(1, 9), key=lambda token: math.sin(token * 7))
    assert {walk(choices, seed, top_p=0.01)[0] for seed in range(20)} == {likeliest}


def test_an_empty_choice_is_refused() -> None:
    with pytest.raises(ValueError, match="choices"):
        SamplingParameters(choices=((),))


def test_llama_cpp_answers_with_one_of_the_texts_and_ends(llama: LlamaCppBackend, llama_engine: Engine) -> None:
    texts = ["Selon L1, oui.", "Selon L2, non.", "Rien."]
    choices = tuple(tuple(llama.tokenize(text, special=False)) for text in texts)
    answers = set()
    for seed in range(12):
        sampling = SamplingParameters(temperature=2.0, top_k=0, top_p=1.0, seed=seed, max_tokens=50, choices=choices)
        request = GenerationRequest(llama.tokenize("Question ?", special=False), sampling=sampling)
        llama_engine.submit(request)
        events = list(request.events())
        assert isinstance(events[-1], Finished)
        assert events[-1].reason is FinishReason.STOP
        answers.add("".join(event.text for event in events if isinstance(event, TextChunk)))
    assert answers <= set(texts)
