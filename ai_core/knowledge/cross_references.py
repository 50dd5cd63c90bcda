"""Which articles the others refer to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ai_core.knowledge.article import Article
from ai_core.knowledge.numbers import find_numbers
from ai_core.knowledge.term_scores import Integers


def times_cited(articles: Sequence[Article]) -> Integers:
    """How many other articles name each one; of a range its two ends. About 0.4 s for the whole code."""
    positions = {article.number: position for position, article in enumerate(articles)}
    cited = np.zeros(len(articles), dtype=np.int64)
    for position, article in enumerate(articles):
        named = {positions.get(mention.number, position) for mention in find_numbers(article.text)}
        cited[list(named - {position})] += 1
    return cited
