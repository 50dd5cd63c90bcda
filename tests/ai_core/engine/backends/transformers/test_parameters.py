"""What a request asks for has its effect, and is the same alone and among others."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from ai_core.engine.backends.transformers import TransformersBackend
from ai_core.engine.engine import Engine
from ai_core.engine.request import FinishReason, TextChunk
from tests.ai_core.engine.backends.transformers.asking import SYSTEM, ask, library_answer, text_of
from tests.ai_core.engine.driving import run

DRAWING: dict[str, Any] = {"temperature": 2.0, "top_k": 0, "top_p": 1.0}


def answers(backend: TransformersBackend, **sampling: Any) -> list[str]:
    """To the same question, drawn with a few seeds."""
    asked = [ask(backend, "Question ?", **{**DRAWING, "seed": seed, **sampling}) for seed in range(6)]
    return [text for text, _ in run(Engine(backend), *asked)]


def test_a_drawn_answer_depends_on_its_seed_alone(llama: TransformersBackend) -> None:
    alone = run(Engine(llama), ask(llama, "Question ?", seed=5, **DRAWING))[0][0]
    others = [ask(llama, f"{number} ?", seed=number, shared=SYSTEM, **DRAWING) for number in range(3)]
    assert run(Engine(llama), *others, ask(llama, "Question ?", seed=5, **DRAWING))[-1][0] == alone
    assert len(set(answers(llama))) == 6


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 0.0}, {"temperature": 1e-4}], ids=str)
def test_a_narrow_draw_is_greedy(llama: TransformersBackend, llama_folder: Path, narrow: dict[str, Any]) -> None:
    greedy = library_answer(llama_folder, list(ask(llama, "Question ?").prompt))
    assert set(answers(llama, **narrow)) == {text_of(llama, greedy)}


@pytest.mark.parametrize(
    "penalty", [{"repetition_penalty": 1.9}, {"frequency_penalty": 2.0}, {"presence_penalty": 2.0}], ids=str
)
def test_penalties_change_an_answer(llama: TransformersBackend, penalty: dict[str, Any]) -> None:
    asked = ask(llama, "un deux un deux un deux", max_tokens=60)
    penalizing = ask(llama, "un deux un deux un deux", max_tokens=60, **penalty)
    (plain, _), (penalized, _) = run(Engine(llama), asked, penalizing)
    assert plain != penalized


def test_a_stop_string_ends_the_answer_before_it(llama: TransformersBackend) -> None:
    whole = run(Engine(llama), ask(llama, "Question ?", max_tokens=40))[0][0]
    stop = whole[9:12]
    ((text, finished),) = run(Engine(llama), ask(llama, "Question ?", max_tokens=40, stop=(stop,)))
    assert (text, finished.reason) == (whole[: whole.index(stop)], FinishReason.STOP)


def test_an_end_token_of_the_requests_own_ends_the_answer(llama: TransformersBackend, llama_folder: Path) -> None:
    expected = library_answer(llama_folder, list(ask(llama, "Question ?").prompt))
    own = expected[7]
    ((text, finished),) = run(Engine(llama), ask(llama, "Question ?", eos_token_id=own))
    assert (text, finished.reason) == (text_of(llama, expected[: expected.index(own)]), FinishReason.STOP)


def test_an_answer_keeps_to_given_texts(llama: TransformersBackend) -> None:
    texts = [" licenciement pour motif économique", " licenciement sans cause", " démission"]
    choices = tuple(tuple(llama.tokenize(text, special=False)) for text in texts)
    engine = Engine(llama)
    asked = [ask(llama, f"Question {number} ?", choices=choices, max_tokens=60, **DRAWING) for number in range(12)]
    found = run(engine, *asked)
    assert {text for text, _ in found} <= set(texts)
    assert len({text for text, _ in found}) > 1
    assert {finished.reason for _, finished in found} == {FinishReason.STOP}


def test_log_probabilities_are_the_models_own(llama: TransformersBackend, llama_folder: Path) -> None:
    import torch
    import transformers

    asked = ask(llama, "Question ?", logprobs=3, max_tokens=5)
    engine = Engine(llama)
    engine.submit(asked)
    while engine.step():
        pass
    found = [logprob for event in asked.events() if isinstance(event, TextChunk) for logprob in event.logprobs]
    model = transformers.AutoModelForCausalLM.from_pretrained(llama_folder)
    tokens = library_answer(llama_folder, list(asked.prompt), max_new_tokens=5)
    with torch.no_grad():
        logits = model(torch.tensor([[*asked.prompt, *tokens]])).logits[0, len(asked.prompt) - 1 : -1]
    for ours, token, expected in zip(found, tokens, logits.log_softmax(-1), strict=True):
        assert ours.piece == llama.piece(token)
        assert math.isclose(ours.logprob, float(expected[token]), abs_tol=1e-4)
        best = expected.topk(3)
        assert [piece for piece, _ in ours.top] == [llama.piece(int(each)) for each in best.indices]
