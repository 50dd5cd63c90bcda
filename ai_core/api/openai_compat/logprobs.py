"""Log-probabilities of an answer's tokens, as chat completions have them and as text completions do."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from ai_core.engine.request import TokenLogprob


def chat_logprobs(tokens: Sequence[TokenLogprob] | None) -> dict[str, Any] | None:
    """None where there are none. `bytes`, because a token may be part of a character."""
    if tokens is None:
        return None
    content = [
        {**_likelihood(token.piece, token.logprob), "top_logprobs": [_likelihood(*top) for top in token.top]}
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def text_logprobs(tokens: Sequence[TokenLogprob] | None, *, offset: int = 0) -> dict[str, Any] | None:
    """Parallel lists; `offset` is where in the text, in characters, the first token begins."""
    if tokens is None:
        return None
    texts = [_text(token.piece) for token in tokens]
    offsets = list(accumulate(map(len, texts[:-1]), initial=offset))
    return {
        "tokens": texts,
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [{_text(piece): logprob for piece, logprob in token.top} for token in tokens],
        "text_offset": offsets,
    }


def _likelihood(piece: bytes, logprob: float) -> dict[str, Any]:
    return {"token": _text(piece), "logprob": logprob, "bytes": list(piece)}


def _text(piece: bytes) -> str:
    return piece.decode("utf-8", "replace")
