"""How one request's tokens are chosen from the logits that llama.cpp computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ai_core.engine.backends.base import Chosen
from ai_core.engine.backends.llama_cpp.chain import Chain, choosers, is_penalised, penalties
from ai_core.engine.backends.llama_cpp.library import library
from ai_core.engine.backends.llama_cpp.logprobs import logits_at, with_logprobs
from ai_core.engine.choices import Choice
from ai_core.engine.sampling import PENALTY_WINDOW, SamplingParameters


class ChoiceSampler:
    """Lets the model choose among given answers. Where only one token can follow, its opinion is not asked, unless the
    request wants to see it."""

    def __init__(self, sampling: SamplingParameters, end: int, vocabulary_size: int) -> None:
        self._choice = Choice(sampling, end)
        self._logprobs = sampling.logprobs
        self._vocabulary_size = vocabulary_size

    def sample(self, context: Any, index: int) -> list[Chosen]:
        """Choose and remember the token that follows the `index`-th one of the last batch, and what is certain then."""
        if self._logprobs is not None:
            logits = logits_at(context, index, self._vocabulary_size)
            return [with_logprobs(self._choose(logits), logits, self._logprobs)]
        if len(self._choice.options) == 1:
            return self._certain()
        return [Chosen(self._choose(library().llama_get_logits_ith(context, index))), *self._certain()]

    def _choose(self, logits: Any) -> int:
        token = self._choice.choose({token: float(logits[token]) for token in self._choice.options})
        return self._choice.take(token)

    def _certain(self) -> list[Chosen]:
        return [Chosen(token) for token in self._choice.take_certain()]


class LlamaSampler:
    """Any token may follow. Keeps the random state and the recent tokens of one request."""

    def __init__(self, sampling: SamplingParameters, prompt: Sequence[int], vocabulary_size: int) -> None:
        self._sample = library().llama_sampler_sample
        self._chain = Chain([*penalties(sampling, vocabulary_size), *choosers(sampling)])
        self._logprobs = sampling.logprobs
        self._vocabulary_size = vocabulary_size
        if is_penalised(sampling):
            for token in prompt[-PENALTY_WINDOW:]:
                self._chain.accept(token)

    def sample(self, context: Any, index: int) -> list[Chosen]:
        """Choose and remember the token that follows the `index`-th one of the last batch."""
        token = self._sample(self._chain.handle, context, index)
        if self._logprobs is None:
            return [Chosen(token)]
        return [with_logprobs(token, logits_at(context, index, self._vocabulary_size), self._logprobs)]
