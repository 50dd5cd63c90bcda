"""One chain of llama.cpp's samplers for each request."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from ai_core.engine.backends.base import Chosen
from ai_core.engine.backends.llama_cpp.library import library
from ai_core.engine.choices import Choice
from ai_core.engine.sampling import PENALTY_WINDOW, SamplingParameters


class ChoiceSampler:
    """Lets the model choose among given answers. Where only one token can follow, its opinion is not asked."""

    def __init__(self, sampling: SamplingParameters, end: int) -> None:
        self._library = library()
        self._choice = Choice(sampling, end)

    def sample(self, context: Any, index: int) -> list[Chosen]:
        """Choose and remember the token that follows the `index`-th one of the last batch, and what is certain then."""
        if len(self._choice.options) == 1:
            return self._certain()
        logits = self._library.llama_get_logits_ith(context, index)
        token = self._choice.choose({token: logits[token] for token in self._choice.options})
        return [Chosen(self._choice.take(token)), *self._certain()]

    def _certain(self) -> list[Chosen]:
        return [Chosen(token) for token in self._choice.take_certain()]


class LlamaSampler:
    """Keeps the random state and the recent tokens of one request; freed with it. Not shared between threads."""

    def __init__(self, sampling: SamplingParameters, prompt: Sequence[int], vocabulary_size: int) -> None:
        self._library = library()
        chain = self._library.llama_sampler_chain_init(self._library.llama_sampler_chain_default_params())
        weakref.finalize(self, self._library.llama_sampler_free, chain)
        self._chain = chain
        for link in self._links(sampling, vocabulary_size):
            self._library.llama_sampler_chain_add(chain, link)
        if sampling.repetition_penalty != 1.0:
            for token in prompt[-PENALTY_WINDOW:]:
                self._library.llama_sampler_accept(chain, token)

    def sample(self, context: Any, index: int) -> list[Chosen]:
        """Choose and remember the token that follows the `index`-th one of the last batch."""
        return [Chosen(self._library.llama_sampler_sample(self._chain, context, index))]

    def _links(self, sampling: SamplingParameters, vocabulary_size: int) -> list[Any]:
        """In llama.cpp's own order: penalties, filters, temperature, choice."""
        lib = self._library
        links = []
        if sampling.repetition_penalty != 1.0:
            penalty = sampling.repetition_penalty
            links.append(lib.llama_sampler_init_penalties(vocabulary_size, PENALTY_WINDOW, penalty, 0.0, 0.0))
        if sampling.greedy:
            return [*links, lib.llama_sampler_init_greedy()]
        if sampling.top_k:
            links.append(lib.llama_sampler_init_top_k(sampling.top_k))
        return [
            *links,
            lib.llama_sampler_init_top_p(sampling.top_p, 1),
            lib.llama_sampler_init_temp(sampling.temperature),
            lib.llama_sampler_init_dist(sampling.draw_seed()),
        ]
