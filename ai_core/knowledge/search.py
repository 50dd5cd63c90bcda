"""Search by number and by question over the articles of one revision.

A question is scored by BM25F over the text, the titles of the sections above it and the nota, and by the same over
pairs of neighbouring words; the Code's words are added to everyday ones. Articles that are not in force come last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ai_core.knowledge.article import IN_FORCE, Article
from ai_core.knowledge.directory import ArticleDirectory, without_numbers
from ai_core.knowledge.excerpt import best_excerpt
from ai_core.knowledge.index import SearchIndex
from ai_core.knowledge.question import Question
from ai_core.knowledge.term_scores import Floats

RELEVANT = 0.5  # a score below this grounds no answer; see SearchHit
PAIR_WEIGHT = 0.2
NOT_IN_FORCE = 0.01  # factor on the score
VAGUE = 3.0  # information (nats) that a question must carry to be taken at its word; "congés" alone carries 2.6


@dataclass(frozen=True, slots=True)
class SearchHit:
    """An article found.

    `score` is 1 for an article named by its number. For a question it is the share of the question's words, weighted by
    how rare they are in the Code, that the best article has (its own words or the Code's words for them), less for a
    question that says next to nothing; articles after the best have their part of that, by their part of its BM25
    score. It says "the question's words are found", not "the answer is right".
    """

    article: Article
    score: float
    excerpt: str


class Searcher:
    """Searches `articles` (in the order of the code) through `index`. Only reads: any thread may call it."""

    def __init__(self, articles: Sequence[Article], index: SearchIndex) -> None:
        self._articles = articles
        self._index = index
        self.directory = ArticleDirectory(articles)
        self._factors = np.array([_factor(article) for article in articles], dtype=np.float32)

    def search(self, query: str, limit: int) -> list[SearchHit]:
        """The best `limit` hits: articles named in `query` first, then those that its words find."""
        named = self.directory.named_in(query)
        question = Question.parse(without_numbers(query))
        hits = [self._hit(position, 1.0, question) for position in named[:limit]]
        if len(hits) < limit:
            found = [(position, score) for position, score in self._ranked(question, limit) if position not in named]
            hits += [self._hit(position, score, question) for position, score in found[: limit - len(hits)]]
        return hits

    def _ranked(self, question: Question, limit: int) -> list[tuple[int, float]]:
        scores = self._scores(question)
        count = min(len(scores), limit + 20)
        best = np.argpartition(-scores, count - 1)[:count] if count else np.empty(0, dtype=np.int64)
        order = [int(position) for position in best[np.lexsort((best, -scores[best]))] if scores[position] > 0]
        if not order:
            return []
        strength = self._strength(question, order[:5])
        return [(position, strength * float(scores[position] / scores[order[0]])) for position in order]

    def _scores(self, question: Question) -> Floats:
        scores = self._index.terms.score(question.terms) + PAIR_WEIGHT * self._index.term_pairs.score(
            question.term_pairs
        )
        return np.asarray(scores * self._factors, dtype=np.float32)

    def _strength(self, question: Question, best: Sequence[int]) -> float:
        terms = self._index.terms
        covered = max(question.coverage(partial(terms.has, position), terms.rarity_of) for position in best)
        information = sum(weight * terms.rarity_of(word) for word, weight in question.words.items())
        return covered * min(1.0, information / VAGUE)

    def _hit(self, position: int, score: float, question: Question) -> SearchHit:
        article = self._articles[position]
        return SearchHit(article, score, best_excerpt(article.text, question.terms, self._index.terms.rarity_of))


def _factor(article: Article) -> float:
    return 1.0 if article.state == IN_FORCE else NOT_IN_FORCE
