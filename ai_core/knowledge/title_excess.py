"""What an article's title says beyond the question: "clause de non-concurrence des agents artistiques" narrows a
question about the clause down to a case that nobody asked about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ai_core.knowledge.article import Article
from ai_core.knowledge.index import stems_of_title
from ai_core.knowledge.term_scores import Floats


class TitleExcess:
    """The titles of all articles. Only reads once it is made."""

    def __init__(self, articles: Sequence[Article], rarity_of: Callable[[str], float]) -> None:
        titles: dict[str, int] = {}
        self._title_of = np.array(
            [titles.setdefault(article.title, len(titles)) for article in articles], dtype=np.int32
        )
        self._rarity_of = rarity_of
        stems = [frozenset(stems_of_title(title)) for title in titles]
        self._information = np.array([sum(map(rarity_of, words)) for words in stems], dtype=np.float32)
        found: dict[str, list[int]] = defaultdict(list)
        for title, words in enumerate(stems):
            for word in words:
                found[word].append(title)
        self._found: Mapping[str, npt.NDArray[np.int64]] = {word: np.array(at) for word, at in found.items()}

    def of(self, asked: Iterable[str]) -> Floats:
        """The information, in nats, of the words of each article's title that are not among `asked` (stems)."""
        excess = self._information.copy()
        for word in asked:
            if word in self._found:
                excess[self._found[word]] -= self._rarity_of(word)
        return np.asarray(np.maximum(excess, 0.0)[self._title_of], dtype=np.float32)
