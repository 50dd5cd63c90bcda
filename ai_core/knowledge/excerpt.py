"""The sentences of an article that answer a question best."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from ai_core.knowledge.words import stems

MAX_EXCERPT = 300  # characters
READ_AT_MOST = 8_000  # characters: an annex of a hundred pages must not slow a search down

_SENTENCE_END = re.compile(r"(?<=[.;])\s+(?=[A-ZÀÂÉÈÊÎÔÇŒ«\d])(?<!\b[LRDA]\.\s)|\n+")


def best_excerpt(text: str, weights: Mapping[str, float], rarity: Callable[[str], float]) -> str:
    """At most MAX_EXCERPT characters of `text`: its most telling sentence for `weights`, then what follows it."""
    sentences = [sentence for sentence in _SENTENCE_END.split(text[:READ_AT_MOST]) if sentence]
    if not sentences:
        return ""
    worth = [_worth(sentence, weights, rarity) for sentence in sentences]
    best = worth.index(max(worth))
    excerpt = sentences[best]
    for following in sentences[best + 1 :]:
        if len(excerpt) + 1 + len(following) > MAX_EXCERPT:
            break
        excerpt = f"{excerpt} {following}"
    return _shortened(excerpt)


def _worth(sentence: str, weights: Mapping[str, float], rarity: Callable[[str], float]) -> float:
    found = stems(sentence)
    # The logarithm takes away what a long sentence has only by being long.
    return sum(weights[stem] * rarity(stem) for stem in set(found) if stem in weights) / math.log(
        math.e + len(found) / 20
    )


def _shortened(text: str) -> str:
    if len(text) <= MAX_EXCERPT:
        return text
    return text[: text.rindex(" ", 0, MAX_EXCERPT - 1) if " " in text[: MAX_EXCERPT - 1] else MAX_EXCERPT - 1] + "…"
