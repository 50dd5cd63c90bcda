"""Log-probabilities are the model's own: those of llama.cpp's class, whatever the request's filters do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from llama_cpp import Llama

from ai_core.engine.backends.base import Chosen, Chunk
from ai_core.engine.backends.llama_cpp import LlamaCppBackend
from ai_core.engine.sampling import SamplingParameters

PROMPT = list("Combien de jours de congés ?".encode())
ROUNDING_OF_16_BITS = 0.1


@pytest.fixture(scope="module")
def expected(tiny_model: Path) -> np.ndarray:
    """The natural log-probability of every token after PROMPT, by the library's own class."""
    library = Llama(str(tiny_model), n_ctx=128, n_threads=1, logits_all=True, verbose=False)
    library.eval(PROMPT)
    logits = library.scores[len(PROMPT) - 1].astype(np.float64)
    library.close()
    return logits - np.log(np.exp(logits).sum())  # type: ignore[no-any-return]


def first(llama: LlamaCppBackend, sampling: SamplingParameters, prompt: list[int] = PROMPT) -> Chosen:
    llama.clear()
    return llama.decode([Chunk(0, 0, prompt, llama.sampler(sampling, prompt))])[0][0]


def test_the_alternatives_are_the_likeliest_tokens_in_order(llama: LlamaCppBackend, expected: np.ndarray) -> None:
    chosen = first(llama, SamplingParameters(temperature=0, logprobs=20))
    assert len(chosen.top) == 20
    assert chosen.top[0] == (chosen.token, chosen.logprob)
    values = [value for _, value in chosen.top]
    assert values == sorted(values, reverse=True)
    assert values == pytest.approx(np.sort(expected)[::-1][:20], abs=ROUNDING_OF_16_BITS)
    assert [expected[token] for token, _ in chosen.top] == pytest.approx(values, abs=ROUNDING_OF_16_BITS)


def test_filters_temperature_and_penalties_do_not_change_the_opinion_shown(
    llama: LlamaCppBackend, expected: np.ndarray
) -> None:
    plain = first(llama, SamplingParameters(temperature=0, logprobs=3))
    bent = first(
        llama,
        SamplingParameters(temperature=5, top_k=100, seed=4, logprobs=3, repetition_penalty=1.5, presence_penalty=2),
    )
    assert bent.top == plain.top
    assert bent.token != plain.token
    assert bent.logprob == pytest.approx(expected[bent.token], abs=ROUNDING_OF_16_BITS)


def test_only_the_tokens_own_is_given_when_no_alternatives_are_wanted(llama: LlamaCppBackend) -> None:
    chosen = first(llama, SamplingParameters(temperature=0, logprobs=0))
    assert chosen.logprob is not None
    assert chosen.logprob < 0
    assert chosen.top == ()


def test_nothing_is_computed_unless_asked_for(llama: LlamaCppBackend) -> None:
    chosen = first(llama, SamplingParameters(temperature=0))
    assert (chosen.logprob, chosen.top) == (None, ())


def test_among_given_answers_every_token_has_its_log_probability(llama: LlamaCppBackend, expected: np.ndarray) -> None:
    choices = (tuple(b"oui"), tuple(b"non"))
    sampler = llama.sampler(SamplingParameters(temperature=0, choices=choices, logprobs=2), PROMPT)
    answer: list[Chosen] = []
    tokens, position = PROMPT, 0
    while not answer or not llama.is_end(answer[-1].token):
        (chosen,) = llama.decode([Chunk(0, position, tokens, sampler)])[0]
        position, tokens = position + len(tokens), [chosen.token]
        answer.append(chosen)
    assert bytes(chosen.token for chosen in answer[:-1]) in (b"oui", b"non")
    assert answer[0].logprob == pytest.approx(expected[answer[0].token], abs=ROUNDING_OF_16_BITS)
    assert all(chosen.logprob is not None and len(chosen.top) == 2 for chosen in answer)


def test_huge_logits_do_not_overflow() -> None:
    from ai_core.engine.backends.llama_cpp.logprobs import with_logprobs

    chosen = with_logprobs(1, np.array([1e4, 2e4, -np.inf], dtype=np.float32), 2)
    assert chosen == Chosen(1, 0.0, ((1, 0.0), (0, -1e4)))
