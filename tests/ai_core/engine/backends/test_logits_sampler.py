from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_core.engine.backends.base import DecodeFailed
from ai_core.engine.backends.logits_sampler import LogitsSampler
from ai_core.engine.sampling import SamplingParameters

SIZE, END = 40, 39
LOGITS = np.random.default_rng(3).normal(0, 2, SIZE).astype(np.float32)


def sampler(*, prompt: list[int] | None = None, **sampling: Any) -> LogitsSampler:
    return LogitsSampler(SamplingParameters(**sampling), prompt or [1, 2, 3], END)


def drawn(count: int, **sampling: Any) -> list[int]:
    """First tokens of `count` requests."""
    return [sampler(seed=seed, **sampling).sample(LOGITS)[0].token for seed in range(count)]


def shares_of_llama_cpp(links: list[Any], prompt: list[int]) -> dict[int, float]:
    """What llama.cpp's samplers leave of LOGITS, with their probabilities."""
    import llama_cpp

    chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
    for link in [*links, llama_cpp.llama_sampler_init_dist(1)]:
        llama_cpp.llama_sampler_chain_add(chain, link)
    for token in prompt:
        llama_cpp.llama_sampler_accept(chain, token)
    data: Any = (llama_cpp.llama_token_data * SIZE)()
    for token in range(SIZE):
        data[token].id, data[token].logit = token, float(LOGITS[token])
    candidates = llama_cpp.llama_token_data_array(data, SIZE, -1, False)
    llama_cpp.llama_sampler_apply(chain, ctypes.byref(candidates))
    left = {int(candidates.data[place].id): float(candidates.data[place].p) for place in range(candidates.size)}
    llama_cpp.llama_sampler_free(chain)
    return left


def test_greedy_takes_the_best() -> None:
    assert drawn(3, temperature=0) == [int(np.argmax(LOGITS))] * 3


def test_tokens_come_as_often_as_llama_cpps_samplers_would_draw_them() -> None:
    import llama_cpp as lib

    prompt = [int(np.argmax(LOGITS)), 5, 5, 7]
    sampling = {"temperature": 0.8, "top_k": 12, "top_p": 0.9, "repetition_penalty": 1.3, "frequency_penalty": 0.4}
    links = [
        lib.llama_sampler_init_penalties(SIZE, 64, 1.3, 0.4, 0.2),
        lib.llama_sampler_init_top_k(12),
        lib.llama_sampler_init_top_p(0.9, 1),
        lib.llama_sampler_init_temp(0.8),
    ]
    expected = shares_of_llama_cpp(links, prompt)
    tokens = drawn(4000, prompt=prompt, presence_penalty=0.2, **sampling)
    assert set(tokens) <= set(expected)
    for token, share in expected.items():
        assert tokens.count(token) / len(tokens) == pytest.approx(share, abs=0.035)


@given(st.lists(st.floats(-30, 30, width=32), min_size=2, max_size=60), st.integers(1, 10), st.floats(0, 1))
def test_a_token_is_never_drawn_from_outside_its_filters(values: list[float], top_k: int, top_p: float) -> None:
    logits = np.array(values, np.float32)
    (chosen,) = LogitsSampler(SamplingParameters(top_k=top_k, top_p=top_p), [0], -1).sample(logits)
    assert sum(logits > logits[chosen.token]) < top_k
    shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    kept = np.sort(shares)[::-1][:top_k] / np.sort(shares)[::-1][:top_k].sum()
    above = kept[kept > (shares[chosen.token] / np.sort(shares)[::-1][:top_k].sum()) + 1e-6].sum()
    assert above <= top_p + 1e-5


def test_a_seed_gives_the_same_tokens_again() -> None:
    first, second = sampler(seed=11, temperature=2.0), sampler(seed=11, temperature=2.0)
    tokens = [[each.sample(LOGITS)[0].token for _ in range(20)] for each in (first, second)]
    assert tokens[0] == tokens[1]
    assert len(set(tokens[0])) > 2


def test_penalties_count_what_was_chosen_before() -> None:
    greedy = sampler(temperature=0, presence_penalty=2.0, frequency_penalty=2.0, repetition_penalty=2.0)
    assert len({greedy.sample(LOGITS)[0].token for _ in range(5)}) > 2


def test_log_probabilities_are_those_of_all_tokens() -> None:
    (chosen,) = sampler(temperature=0, logprobs=3).sample(LOGITS)
    exact = LOGITS - np.log(np.exp(LOGITS.astype(np.float64)).sum())
    assert chosen.logprob == pytest.approx(float(exact.max()), abs=1e-5)
    assert [token for token, _ in chosen.top] == list(np.argsort(-LOGITS)[:3])
    assert sampler(temperature=0, logprobs=0).sample(LOGITS)[0].top == ()
    assert sampler(temperature=0).sample(LOGITS)[0].logprob is None


def test_an_answer_among_choices_is_one_of_them_and_certain_tokens_come_along() -> None:
    choosing = sampler(temperature=0, choices=((4, 5, 6), (7, 8)))
    tokens = [each.token for each in choosing.sample(LOGITS)]
    assert tokens in ([4, 5, 6, END], [7, 8, END])


def test_a_requests_own_end_token_takes_the_place_of_the_models() -> None:
    logits = LOGITS.copy()
    logits[END] = 50
    logits[9] = 40
    asked = LogitsSampler(SamplingParameters(temperature=0, eos_token_id=9), [1], END, [END, 38])
    assert asked.sample(logits)[0].token == END
    logits[9] = -50
    assert asked.sample(logits)[0].token not in (END, 38, 9)


def test_logits_that_are_no_numbers_fail_the_batch() -> None:
    with pytest.raises(DecodeFailed):
        sampler().sample(np.full(SIZE, np.nan, np.float32))
