"""An answer that must be one of several given texts: which tokens may come next, and which of them does."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

from ai_core.engine.sampling import SamplingParameters

Tree = dict[int, "Tree"]


class Choice:
    """Walks the tree of the possible answers, each followed by `end`. For one request."""

    def __init__(self, sampling: SamplingParameters, end: int) -> None:
        self._sampling = sampling
        self._random = random.Random(sampling.draw_seed())
        self._tree: Tree = {}
        for choice in sampling.choices:
            node = self._tree
            for token in (*choice, end):
                node = node.setdefault(token, {})

    @property
    def options(self) -> list[int]:
        """The tokens that may come next: most often one."""
        return list(self._tree)

    def take(self, token: int) -> int:
        """Go on with `token`, one of the options."""
        self._tree = self._tree[token]
        return token

    def take_certain(self) -> list[int]:
        """Go on through the tokens that are the only option, up to the next real choice or the end."""
        certain = []
        while len(self._tree) == 1:
            certain.append(self.take(next(iter(self._tree))))
        return certain

    def choose(self, logits: Mapping[int, float]) -> int:
        """One of the options by its logit, under the request's top_k, temperature and top_p, in llama.cpp's order."""
        ranked = sorted(logits, key=lambda token: logits[token], reverse=True)
        if self._sampling.greedy:
            return ranked[0]
        ranked = ranked[: self._sampling.top_k or None]
        best = logits[ranked[0]]
        plain = _shares([math.exp(logits[token] - best) for token in ranked])
        kept = 1 + sum(sum(plain[:place]) < self._sampling.top_p for place in range(1, len(plain)))
        weights = [math.exp((logits[token] - best) / self._sampling.temperature) for token in ranked[:kept]]
        return self._random.choices(ranked[:kept], weights)[0]


def _shares(weights: Sequence[float]) -> list[float]:
    total = sum(weights)
    return [weight / total for weight in weights]
