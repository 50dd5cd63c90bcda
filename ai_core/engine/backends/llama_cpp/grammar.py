"""Choosing among the tokens that a grammar allows.

As llama.cpp's own common_sampler does it: the model chooses first, and only where its choice is refused are the others
looked at, likeliest first, until there are as many as the request's filters could keep.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ai_core.engine.backends.base import Chosen
from ai_core.engine.backends.llama_cpp.candidates import Candidates, Tokens
from ai_core.engine.backends.llama_cpp.chain import Chain, choosers, is_penalised, penalties
from ai_core.engine.backends.llama_cpp.logprobs import Logits, logits_at, with_logprobs
from ai_core.engine.grammar.matcher import Matcher
from ai_core.engine.sampling import PENALTY_WINDOW, SamplingParameters

MOST_ALLOWED = 1000
"""Tokens that a request without top_k chooses among where the model's first choice was refused."""
MOST_TRIED = 5000
"""Tokens that are looked at, once one of them is allowed."""
MOST_WORK = 100_000
"""The same in steps of the matcher: a tenth of a second for a grammar that was made to be slow."""


class GrammarSampler:
    """For one request; used by the engine's thread."""

    def __init__(
        self, sampling: SamplingParameters, prompt: Sequence[int], candidates: Candidates, matcher: Matcher
    ) -> None:
        self._candidates = candidates
        self._vocabulary = candidates.vocabulary
        self._matcher = matcher
        self._logprobs = sampling.logprobs
        self._wanted = 1 if sampling.greedy else min(sampling.top_k or MOST_ALLOWED, MOST_ALLOWED)
        self._penalties: Chain | None = None
        self._chain = Chain(choosers(sampling))
        if is_penalised(sampling):
            self._penalties = Chain(penalties(sampling, self._vocabulary.size))
            for token in prompt[-PENALTY_WINDOW:]:
                self._penalties.accept(token)

    def sample(self, context: Any, index: int) -> list[Chosen]:
        """Choose and remember the token that follows the `index`-th one of the last batch."""
        logits = logits_at(context, index, self._vocabulary.size)
        token = self._choose(logits)
        self._remember(token)
        return [Chosen(token) if self._logprobs is None else with_logprobs(token, logits, self._logprobs)]

    def _choose(self, logits: Logits) -> int:
        """The end, where the vocabulary has no token that the grammar allows."""
        choose, everything = self._candidates.choose, self._candidates.all
        logits = self._candidates.penalised(self._penalties, logits) if self._penalties else logits
        token = choose(self._chain, everything, logits)
        if self._allows(token):
            return token
        allowed = self._allowed(logits)
        return choose(self._chain, allowed, logits[allowed]) if len(allowed) else self._vocabulary.end

    def _allows(self, token: int) -> bool:
        if token in self._vocabulary.ends:
            return self._matcher.position.may_end
        piece = self._vocabulary.pieces[token]
        return bool(piece) and self._matcher.follow(piece) is not None

    def _allowed(self, logits: Logits) -> Tokens:
        """The likeliest tokens that the grammar allows, as many as can matter."""
        allowed: list[int] = []
        before = self._matcher.work
        for tried, token in enumerate(self._candidates.likeliest_first(self._matcher.position, logits)):
            if len(allowed) >= self._wanted or (allowed and tried >= MOST_TRIED):
                break
            if self._matcher.work - before > MOST_WORK:
                break
            if self._allows(token):
                allowed.append(token)
        return np.array(allowed, dtype=np.int32)

    def _remember(self, token: int) -> None:
        if self._penalties:
            self._penalties.accept(token)
        after = self._matcher.follow(self._vocabulary.pieces[token]) if token not in self._vocabulary.ends else None
        if after is not None:
            self._matcher.position = after
