"""One revision of the Code du travail in memory: its articles and their search."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Protocol, TypeVar

import peewee

from ai_core.knowledge.article import Article, state_on
from ai_core.knowledge.asking_sentences import sentences_to_try
from ai_core.knowledge.directory import without_numbers
from ai_core.knowledge.errors import KnowledgeMissing
from ai_core.knowledge.index import SearchIndex
from ai_core.knowledge.kept_index import kept_index
from ai_core.knowledge.places import index_directory
from ai_core.knowledge.relevance import RELEVANT
from ai_core.knowledge.search import CANDIDATES, Searcher, SearchHit
from ai_core.knowledge.sheet import Sheet
from ai_core.knowledge.sheet_base import SheetBase
from ai_core.knowledge.sheet_search import SheetHit
from ai_core.storage import KnowledgeArticle, KnowledgeRevision
from common.database import connection

__all__ = ["KnowledgeBase", "KnowledgeMissing"]


class Hit(Protocol):
    """What a search finds; see SearchHit."""

    @property
    def score(self) -> float: ...


AnyHit = TypeVar("AnyHit", bound=Hit)
Nearest = Callable[[str, int], Sequence[int]]
"""The positions of the articles nearest in meaning to a question, at most so many, best first."""
Search = Callable[[str, int], list[AnyHit]]


class KnowledgeBase:
    """The articles of one revision, and the practical sheets where they take part. Immutable: an update makes another
    one. `revision` is the Code's."""

    def __init__(
        self, revision: str, articles: list[Article], index: SearchIndex, sheets: SheetBase | None = None
    ) -> None:
        self.revision = revision
        self.articles = articles
        self.sheets = sheets
        self.nearest: Nearest | None = None
        self._searcher = Searcher(articles, index)

    @classmethod
    def load(cls, database: peewee.Database, data_dir: Path) -> KnowledgeBase:
        """Read the active revision. Raises KnowledgeMissing when there is none.

        A missing or outdated index is built again (some seconds) and saved when the directory can be written.
        """
        with connection(database):
            active = KnowledgeRevision.get_or_none(KnowledgeRevision.active == True)  # noqa: E712 - an SQL expression
            if active is None:
                raise KnowledgeMissing("The Code du travail has not been imported.")
            articles = _read_articles(active.revision)
        if len(articles) != active.article_count:
            raise KnowledgeMissing(
                f"Revision {active.revision} has {len(articles)} of {active.article_count} articles; import it again."
            )
        directory = index_directory(data_dir, active.revision)
        return cls(active.revision, articles, kept_index(directory, len(articles), lambda: SearchIndex.build(articles)))

    def with_sheets(self, sheets: SheetBase | None) -> KnowledgeBase:
        """The same articles beside other sheets."""
        other = copy(self)
        other.sheets = sheets
        return other

    def with_nearest(self, nearest: Nearest) -> KnowledgeBase:
        """The same articles, found by what `nearest` gives too."""
        other = copy(self)
        other.nearest = nearest
        return other

    def __len__(self) -> int:
        return len(self.articles)

    def article(self, number: str) -> Article | None:
        """The article with this number, in any spelling, or None."""
        position = self._searcher.directory.find(number)
        return None if position is None else self.articles[position]

    def search(self, query: str, limit: int = 10) -> list[SearchHit]:
        """The best hits for `query`, articles that it names first; may be less than relevant."""
        words = without_numbers(query)
        near = self.nearest(words, limit + CANDIDATES) if self.nearest is not None and words.strip() else ()
        return self._searcher.search(query, limit, near)

    def relevant(self, query: str, limit: int = 10) -> list[SearchHit]:
        """The hits that an answer can be grounded on: none for a question that has nothing to do with the Code. In a
        letter, whose many words no article has, they are those of the sentence that finds most."""
        return _relevant(self.search, query, limit)

    def search_sheets(self, query: str, limit: int = 10) -> list[SheetHit]:
        """The best practical sheets for `query`; may be less than relevant."""
        hits = [] if self.sheets is None else self.sheets.search(query, limit)
        return [replace(hit, articles=self._articles_of(hit.sheet)) for hit in hits]

    def relevant_sheets(self, query: str, limit: int = 1) -> list[SheetHit]:
        """The practical sheets that an answer can be helped with, found as `relevant` finds articles."""
        return _relevant(self.search_sheets, query, limit)

    def _articles_of(self, sheet: Sheet) -> tuple[Article, ...]:
        """In the order in which the sheet names them."""
        named = (at for reference in sheet.references for at in self._searcher.directory.named_in(reference))
        return tuple(self.articles[position] for position in dict.fromkeys(named))


def _relevant(search: Search[AnyHit], query: str, limit: int) -> list[AnyHit]:
    found = _strong(search(query, limit))
    if found:
        return found
    tried = [_strong(search(sentence, limit)) for sentence in sentences_to_try(query)]
    return max(tried, key=lambda hits: hits[0].score if hits else 0.0, default=[])


def _strong(hits: list[AnyHit]) -> list[AnyHit]:
    return [hit for hit in hits if hit.score >= RELEVANT]


def _read_articles(revision: str) -> list[Article]:
    today = date.today()
    paths: dict[str, tuple[str, ...]] = {}
    table = KnowledgeArticle
    rows: Any = (
        table.select(
            table.number,
            table.legifrance_id,
            table.title,
            table.section_path,
            table.text,
            table.nota,
            table.in_force_from,
            table.in_force_until,
        )
        .where(table.revision == revision)
        .order_by(table.position)
        .tuples()
    )
    articles = []
    for number, legifrance_id, title, path, text, nota, start, end in rows:
        if path not in paths:  # thousands of articles share a path: it is kept once
            paths[path] = tuple(json.loads(path))
        state = state_on(today, start, end)
        articles.append(Article(number, legifrance_id, title, paths[path], text, nota, state, start, end))
    return articles
