"""How close a question comes to the title of a section: the public asks for a topic, and a section is its answer.

Closeness is Dice's coefficient over stems, weighted by their rarity: 1 where the question says what the title says and
nothing else. An article takes the closest of the titles above it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ai_core.knowledge.article import Article
from ai_core.knowledge.index import stems_of_title
from ai_core.knowledge.term_scores import Floats

Rarity = Callable[[str], float]


class TitleCloseness:
    """The titles below the parts of the code. Only reads once it is made."""

    def __init__(self, articles: Sequence[Article], rarity_of: Rarity) -> None:
        sections: dict[tuple[str, ...], int] = {}
        above = [
            [sections.setdefault(article.section_path[:depth], len(sections)) for depth in _depths(article)]
            for article in articles
        ]
        self._rarity_of = rarity_of
        self._none = len(sections)  # stands for no title at all
        deepest = max(map(len, above), default=0)
        self._above = np.array([row + [self._none] * (deepest - len(row)) for row in above], dtype=np.int32)
        stems = [frozenset(stems_of_title(path[-1])) for path in sections]
        self._weights = np.array([sum(map(rarity_of, words)) for words in stems], dtype=np.float32)
        found: dict[str, list[int]] = defaultdict(list)
        for section, words in enumerate(stems):
            for word in words:
                found[word].append(section)
        self._found: Mapping[str, npt.NDArray[np.int64]] = {word: np.array(at) for word, at in found.items()}

    def of(self, words: Mapping[str, float], terms: Mapping[str, float]) -> Floats:
        """Closeness of each article, 0 to 1, to a question of weighted `words`, looked for by weighted `terms`."""
        shared = np.zeros(self._none, dtype=np.float32)
        for term, weight in terms.items():
            if term in self._found:
                shared[self._found[term]] += weight * self._rarity_of(term)
        asked = sum(weight * self._rarity_of(word) for word, weight in words.items())
        closeness = np.append(np.minimum(1.0, 2 * shared / (asked + self._weights + 1e-6)), 0.0)
        if not self._above.size:
            return np.zeros(len(self._above), dtype=np.float32)
        return np.asarray(closeness[self._above].max(axis=1), dtype=np.float32)


def _depths(article: Article) -> range:
    return range(2, len(article.section_path) + 1)
