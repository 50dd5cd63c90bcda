"""The choice of tokens for backends whose library computes logits only, in numpy.

The steps and their order are llama.cpp's (penalties, top_k, top_p, temperature, draw), so that a parameter means the
same whatever the model's format.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ai_core.engine.backends.base import Chosen, DecodeFailed
from ai_core.engine.choices import Choice
from ai_core.engine.sampling import PENALTY_WINDOW, SamplingParameters

Logits = npt.NDArray[np.float32]


class LogitsSampler:
    """For one request: its random state and recent tokens. `end` is what ends the answer for the engine, `ends` are all
    such tokens of the model. A request's own eos_token_id takes their place. Not shared between threads."""

    def __init__(self, sampling: SamplingParameters, prompt: Sequence[int], end: int, ends: Sequence[int] = ()) -> None:
        self._sampling = sampling
        self._recent = deque(prompt[-PENALTY_WINDOW:], maxlen=PENALTY_WINDOW)
        self._random = np.random.default_rng(sampling.draw_seed())
        self._choice = Choice(sampling, end) if sampling.choices else None
        self._end = end
        self._ends = [token for token in {end, *ends} if token not in (-1, sampling.eos_token_id)]

    def sample(self, logits: Logits) -> list[Chosen]:
        """Choose and remember the next token, and what is certain then, by `logits` of shape (vocabulary,), which stay
        as they are. Raises DecodeFailed when they are no numbers."""
        if np.isnan(logits).any():
            raise DecodeFailed("the model computed no numbers")
        if self._choice is not None:
            return self._choose(self._choice, logits)
        token = self._pick(logits)
        self._recent.append(token)
        return [self._with_logprob(token, logits)]

    def _choose(self, choice: Choice, logits: Logits) -> list[Chosen]:
        if self._sampling.logprobs is None and len(choice.options) == 1:
            return [Chosen(token) for token in choice.take_certain()]
        token = choice.take(choice.choose({token: float(logits[token]) for token in choice.options}))
        if self._sampling.logprobs is not None:
            return [self._with_logprob(token, logits)]
        return [Chosen(token), *(Chosen(certain) for certain in choice.take_certain())]

    def _pick(self, logits: Logits) -> int:
        sampling = self._sampling
        weighed = self._penalised(logits)
        if sampling.eos_token_id is not None:
            weighed[self._ends] = -np.inf
        if sampling.greedy:
            return int(np.argmax(weighed))
        kept = _largest(weighed, sampling.top_k or len(weighed))
        shares = _softmax(weighed[kept])
        enough = int(np.searchsorted(np.cumsum(shares), sampling.top_p)) + 1
        kept = kept[:enough]
        return int(self._random.choice(kept, p=_softmax(weighed[kept] / sampling.temperature)))

    def _penalised(self, logits: Logits) -> npt.NDArray[np.float64]:
        weighed = logits.astype(np.float64)
        sampling = self._sampling
        if (sampling.repetition_penalty, sampling.frequency_penalty, sampling.presence_penalty) == (1.0, 0.0, 0.0):
            return weighed
        for token, count in Counter(self._recent).items():
            value = weighed[token]
            value = value * sampling.repetition_penalty if value <= 0 else value / sampling.repetition_penalty
            weighed[token] = value - count * sampling.frequency_penalty - sampling.presence_penalty
        return weighed

    def _with_logprob(self, token: int, logits: Logits) -> Chosen:
        answer = self._end if token == self._sampling.eos_token_id else token
        if self._sampling.logprobs is None:
            return Chosen(answer)
        top = _largest(logits, self._sampling.logprobs) if self._sampling.logprobs else ()
        highest = float(logits.max())
        total = highest + float(np.log(np.exp(logits.astype(np.float64) - highest).sum()))
        return Chosen(
            answer, float(logits[token]) - total, tuple((int(other), float(logits[other]) - total) for other in top)
        )


def _largest(values: npt.NDArray[Any], count: int) -> npt.NDArray[np.intp]:
    """Places of the `count` largest values, largest first."""
    if count < len(values):
        places = np.argpartition(values, -count)[-count:]
        return places[np.argsort(-values[places], kind="stable")]
    return np.argsort(-values, kind="stable")


def _softmax(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shares = np.exp(values - values.max())
    softmax: npt.NDArray[np.float64] = shares / shares.sum()
    return softmax
