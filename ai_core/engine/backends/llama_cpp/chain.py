"""llama.cpp's samplers, made from a request's parameters, in llama.cpp's own order."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from ai_core.engine.backends.llama_cpp.library import library
from ai_core.engine.sampling import PENALTY_WINDOW, SamplingParameters


class Chain:
    """Samplers one after the other, with their random state and recent tokens; freed with this object.
    Not shared between threads."""

    def __init__(self, links: Sequence[Any]) -> None:
        lib = library()
        self.handle: Any = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        weakref.finalize(self, lib.llama_sampler_free, self.handle)
        for link in links:
            lib.llama_sampler_chain_add(self.handle, link)

    def accept(self, token: int) -> None:
        """Remember `token`, one of the prompt or the one chosen."""
        library().llama_sampler_accept(self.handle, token)


def penalties(sampling: SamplingParameters, vocabulary_size: int) -> list[Any]:
    """Empty where the request has none: llama.cpp's looks every token up in its table."""
    if not is_penalised(sampling):
        return []
    repetition, frequency = sampling.repetition_penalty, sampling.frequency_penalty
    return [
        library().llama_sampler_init_penalties(
            vocabulary_size, PENALTY_WINDOW, repetition, frequency, sampling.presence_penalty
        )
    ]


def is_penalised(sampling: SamplingParameters) -> bool:
    return (sampling.repetition_penalty, sampling.frequency_penalty, sampling.presence_penalty) != (1.0, 0.0, 0.0)


def choosers(sampling: SamplingParameters) -> list[Any]:
    """Filters, temperature, choice."""
    lib = library()
    if sampling.greedy:
        return [lib.llama_sampler_init_greedy()]
    filters = [lib.llama_sampler_init_top_k(sampling.top_k)] if sampling.top_k else []
    return [
        *filters,
        lib.llama_sampler_init_top_p(sampling.top_p, 1),
        lib.llama_sampler_init_temp(sampling.temperature),
        lib.llama_sampler_init_dist(sampling.draw_seed()),
    ]
