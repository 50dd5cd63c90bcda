"""Search by number and by question over the articles of one revision.

A question is scored by BM25F over the text, the titles of the sections above it and the nota, and by the same over
pairs of neighbouring words; the Code's words are added to everyday ones. An article is lifted by a section title that
says what the question says and by the others of its section, lowered by one that says more than was asked, and what
the section has shown already counts a little less, so that a second subject gets a place. The law comes before the
decrees that apply it, a rule before its details, what many articles refer to before what none does, and what is not in
force comes last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ai_core.knowledge.article import IN_FORCE, Article
from ai_core.knowledge.cross_references import times_cited
from ai_core.knowledge.directory import ArticleDirectory, without_numbers
from ai_core.knowledge.excerpt import best_excerpt
from ai_core.knowledge.fusion import fused
from ai_core.knowledge.index import SearchIndex, stems_of_title
from ai_core.knowledge.question import Question
from ai_core.knowledge.relevance import strength
from ai_core.knowledge.spelling import Speller
from ai_core.knowledge.term_scores import Floats
from ai_core.knowledge.title_closeness import TitleCloseness
from ai_core.knowledge.title_excess import TitleExcess

ANNEX = 0.8
NOT_IN_FORCE = 0.01
CANDIDATES = 50  # articles beyond the limit that may still move up


@dataclass(frozen=True, slots=True)
class Ranking:
    """What is made of the plain scores. Each part can be left out, to see what it brings (`make bench-search`)."""

    pairs: float = 0.2  # weight of neighbouring words
    section: float = 0.12  # part of an article's score that is its section's average
    title: float = 0.4  # how much a section title that says what the question says lifts its articles
    repeated_section: float = 0.9  # factor on a section's articles for each one of them that stands above
    regulations: float = 0.88  # factor on articles of decrees in Conseil d'Etat (R); the law (L) has 1
    decrees: float = 0.82  # on those of simple decrees (D)
    details: float = 0.03  # a chapter states its rule before the details: this much less as the place grows (log)
    cited: float = 0.05  # what others refer to holds a rule: this much more as their number grows (log)
    excess: float = 0.004  # less for each nat that the article's title says and the question does not
    synonyms: bool = True


@dataclass(frozen=True, slots=True)
class SearchHit:
    """An article found.

    `score` is 1 for an article named by its number. For a question it is how present the question's words (or the
    Code's words for them), weighted by how rare they are in the Code, are in the best article: 0.4 when each stands
    there once, up to 0.9 when they fill its text and titles; less for a question that says next to nothing or has no
    word about work. Articles after the best have their part of that. It says "the question's words are found", not "the
    answer is right". Of 263 public questions 95 % reach RELEVANT, of 134 questions about other things, half of them
    about other laws, 9 %.
    """

    article: Article
    score: float
    excerpt: str


class Searcher:
    """Searches `articles` (in the order of the code) through `index`. Only reads: any thread may call it."""

    def __init__(self, articles: Sequence[Article], index: SearchIndex, ranking: Ranking | None = None) -> None:
        self._articles = articles
        self._index = index
        self._ranking = ranking or Ranking()
        self._titles = TitleCloseness(articles, index.terms.rarity_of)
        self._excess = TitleExcess(articles, index.terms.rarity_of)
        self._speller = Speller.of(index.terms)
        self.directory = ArticleDirectory(articles)
        numbers: dict[tuple[str, ...], int] = {}
        self._sections = np.array([numbers.setdefault(article.section_path, len(numbers)) for article in articles])
        self._section_sizes = np.bincount(self._sections)
        self._factors = _factors(articles, self._ranking)

    def search(self, query: str, limit: int, nearest: Sequence[int] = ()) -> list[SearchHit]:
        """The best `limit` hits: articles named in `query` first, then those that its words find, fused with those
        `nearest` in meaning (positions, best first) where there are such."""
        named = self.directory.named_in(query)
        question = Question.parse(
            without_numbers(query), synonyms=self._ranking.synonyms, stem_of=self._speller.stem_of
        )
        hits = [self._hit(position, 1.0, question) for position in named[:limit]]
        if len(hits) < limit:
            ranked = self._ranked(question, limit, [at for at in nearest if self._articles[at].state == IN_FORCE])
            found = [(position, score) for position, score in ranked if position not in named]
            hits += [self._hit(position, score, question) for position, score in found[: limit - len(hits)]]
        return hits

    def _ranked(self, question: Question, limit: int, nearest: Sequence[int]) -> list[tuple[int, float]]:
        """Positions and scores in 0..1, best first."""
        scores = self._scores(question)
        count = min(len(scores), limit + CANDIDATES)
        best = np.argpartition(-scores, count - 1)[:count] if count else np.empty(0, dtype=np.int64)
        order = [int(position) for position in best[np.lexsort((best, -scores[best]))] if scores[position] > 0]
        if not order:
            return []
        ranked = self._spread(order, scores, limit if not nearest else len(order))
        # Cosines of a model that we do not know say nothing of relevance: that is the words' alone.
        first = strength(question, self._index.terms, [position for position, _ in ranked[:5]], self._in_titles)
        if nearest:
            ranked = fused([position for position, _ in ranked], nearest)[:limit]
        return [(position, first * score / ranked[0][1]) for position, score in ranked]

    def _scores(self, question: Question) -> Floats:
        ranking = self._ranking
        scores = self._index.terms.score(question.terms)
        scores += ranking.pairs * self._index.term_pairs.score(question.term_pairs)
        scores *= self._factors
        average = np.bincount(self._sections, weights=scores) / self._section_sizes
        lifted = (1 - ranking.section) * scores + ranking.section * average[self._sections] * self._factors
        lifted *= 1 + ranking.title * self._titles.of(question.words, question.terms)
        lifted /= 1 + ranking.excess * self._excess.of(question.terms)
        return np.asarray(lifted, dtype=np.float32)

    def _spread(self, order: Sequence[int], scores: Floats, limit: int) -> list[tuple[int, float]]:
        """The first `limit` of `order`, taken one by one, an article's section weighed down by what it has there."""
        left = {position: float(scores[position]) for position in order}
        ranked: list[tuple[int, float]] = []
        while left and len(ranked) < limit:
            position = max(left, key=left.__getitem__)
            ranked.append((position, left.pop(position)))
            for other in left:
                if self._sections[other] == self._sections[position]:
                    left[other] *= self._ranking.repeated_section
        return ranked

    def _in_titles(self, position: int, word: str) -> bool:
        # The title of the part says nothing.
        return any(word in stems_of_title(title) for title in self._articles[position].section_path[1:])

    def _hit(self, position: int, score: float, question: Question) -> SearchHit:
        article = self._articles[position]
        return SearchHit(article, score, best_excerpt(article.text, question.terms, self._index.terms.rarity_of))


def _factors(articles: Sequence[Article], ranking: Ranking) -> Floats:
    """What each article's score is multiplied by, whatever the question."""
    law_first = {"L": 1.0, "R": ranking.regulations, "D": ranking.decrees}
    in_force = [1.0 if article.state == IN_FORCE else NOT_IN_FORCE for article in articles]
    factors = np.array([law_first.get(article.number[0], ANNEX) for article in articles]) * in_force
    factors /= 1 + ranking.details * np.log1p(_places(articles))
    factors *= 1 + ranking.cited * np.log1p(times_cited(articles))
    return np.asarray(factors, dtype=np.float32)


def _places(articles: Sequence[Article]) -> list[int]:
    """How many articles of the same chapter and letter come before each."""
    seen: Counter[tuple[str, ...]] = Counter()
    places = []
    for article in articles:
        chapter = (article.number[0], *_chapter(article.section_path))
        places.append(seen[chapter])
        seen[chapter] += 1
    return places


def _chapter(path: tuple[str, ...]) -> tuple[str, ...]:
    depth = next((depth for depth, title in enumerate(path, 1) if title.startswith("Chapitre")), len(path))
    return path[:depth]
