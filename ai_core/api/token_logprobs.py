"""Log-probabilities of an answer's tokens, in the form of OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ai_core.engine.request import TokenLogprob


def as_objects(tokens: Iterable[TokenLogprob]) -> list[dict[str, Any]]:
    """`bytes` because a token may be part of a character."""
    return [
        {**_likelihood(token.piece, token.logprob), "top_logprobs": [_likelihood(*top) for top in token.top]}
        for token in tokens
    ]


def text_of(piece: bytes) -> str:
    """A token as text, as well as that goes."""
    return piece.decode("utf-8", "replace")


def _likelihood(piece: bytes, logprob: float) -> dict[str, Any]:
    return {"token": text_of(piece), "logprob": logprob, "bytes": list(piece)}
