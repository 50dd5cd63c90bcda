"""The model's own opinion of a place: its logits, and the log-probabilities that they mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ai_core.engine.backends.base import Chosen
from ai_core.engine.backends.llama_cpp.library import library

Logits = NDArray[np.float32]


def logits_at(context: Any, index: int, vocabulary_size: int) -> Logits:
    """llama.cpp's own memory for the `index`-th token of the last batch, (vocabulary_size,): gone with the next one."""
    pointer = library().llama_get_logits_ith(context, index)
    return np.ctypeslib.as_array(pointer, shape=(vocabulary_size,))


def with_logprobs(token: int, logits: Logits, alternatives: int) -> Chosen:
    """`token` with its natural log-probability, and the `alternatives` likeliest tokens with theirs."""
    best = float(logits.max())
    total = best + float(np.log(np.exp(logits - best).sum(dtype=np.float64)))
    top = tuple((place, float(logits[place]) - total) for place in _likeliest(logits, alternatives))
    return Chosen(token, float(logits[token]) - total, top)


def _likeliest(logits: Logits, number: int) -> list[int]:
    if not number:
        return []
    places: list[int] = np.argpartition(logits, -number)[-number:].tolist()
    return sorted(places, key=lambda place: (-float(logits[place]), place))
