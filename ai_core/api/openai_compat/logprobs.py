"""Log-probabilities of an answer's tokens, as chat completions have them and as text completions do."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from ai_core.api.token_logprobs import as_objects, text_of
from ai_core.engine.request import TokenLogprob


def chat_logprobs(tokens: Sequence[TokenLogprob] | None) -> dict[str, Any] | None:
    """None where there are none."""
    return None if tokens is None else {"content": as_objects(tokens), "refusal": None}


def text_logprobs(tokens: Sequence[TokenLogprob] | None, *, offset: int = 0) -> dict[str, Any] | None:
    """Parallel lists; `offset` is where in the text, in characters, the first token begins."""
    if tokens is None:
        return None
    texts = [text_of(token.piece) for token in tokens]
    offsets = list(accumulate(map(len, texts[:-1]), initial=offset))
    return {
        "tokens": texts,
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [{text_of(piece): logprob for piece, logprob in token.top} for token in tokens],
        "text_offset": offsets,
    }
