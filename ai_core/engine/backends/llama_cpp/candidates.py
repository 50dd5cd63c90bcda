"""Any tokens for llama.cpp's samplers to choose among, where its own list of the whole vocabulary will not do."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ai_core.engine.backends.llama_cpp.chain import Chain
from ai_core.engine.backends.llama_cpp.library import library
from ai_core.engine.backends.llama_cpp.logprobs import Logits
from ai_core.engine.backends.llama_cpp.vocabulary import Vocabulary
from ai_core.engine.grammar.matcher import Position

Tokens = NDArray[np.int32]

SORTED_FIRST = 1000
_ENDS, _UNWRITTEN = 256, 257


class Candidates:
    """llama.cpp's list of tokens, filled by us. One for all requests, for the engine's thread: it is as long as the
    vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.all: Tokens = np.arange(vocabulary.size, dtype=np.int32)
        self._starts = np.array([_start(vocabulary, token) for token in range(vocabulary.size)], dtype=np.int16)
        self._rows = np.zeros(vocabulary.size, dtype=[("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])
        self._list = library().llama_token_data_array()
        self._pointer = ctypes.cast(self._rows.ctypes.data, ctypes.POINTER(library().llama_token_data))

    def choose(self, chain: Chain, tokens: Tokens, logits: Logits) -> int:
        """The one of `tokens`, whose `logits` are in the same order, that `chain` chooses."""
        chosen = self._applied(chain, tokens, logits)
        return int(chosen.data[chosen.selected].id)

    def penalised(self, chain: Chain, logits: Logits) -> Logits:
        """`logits` of the whole vocabulary after the penalties of `chain`."""
        self._applied(chain, self.all, logits)
        bent: Logits = self._rows["logit"].copy()
        return bent

    def likeliest_first(self, position: Position, logits: Logits) -> Iterator[int]:
        """Tokens that may follow `position` for all that their first byte tells. Most often the likeliest thousand are
        enough, so these are sorted before the others."""
        possible = np.array([*position.first_bytes(), position.may_end, False])
        tokens = np.flatnonzero(possible[self._starts])
        falling = -logits[tokens]
        first = min(len(tokens), SORTED_FIRST)
        places = np.argpartition(falling, first - 1) if first else np.arange(0)
        for part in (places[:first], places[first:]):
            yield from tokens[part[np.argsort(falling[part], kind="stable")]].tolist()

    def _applied(self, chain: Chain, tokens: Tokens, logits: Logits) -> Any:
        """llama.cpp's list after `chain` changed it; gone with the next call."""
        number = len(tokens)
        self._rows["id"][:number] = tokens
        self._rows["logit"][:number] = logits
        self._list.data, self._list.size, self._list.selected, self._list.sorted = self._pointer, number, -1, False
        library().llama_sampler_apply(chain.handle, ctypes.byref(self._list))
        return self._list


def _start(vocabulary: Vocabulary, token: int) -> int:
    if token in vocabulary.ends:
        return _ENDS
    return vocabulary.pieces[token][0] if vocabulary.pieces[token] else _UNWRITTEN
