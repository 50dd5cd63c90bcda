"""One revision of the Code du travail in memory: its articles and their search."""

from __future__ import annotations

import json
import logging
from datetime import date
from pathlib import Path
from typing import Any

import peewee

from ai_core.knowledge.article import Article, state_on
from ai_core.knowledge.asking_sentences import sentences_to_try
from ai_core.knowledge.errors import KnowledgeMissing
from ai_core.knowledge.index import SearchIndex
from ai_core.knowledge.search import RELEVANT, Searcher, SearchHit
from ai_core.storage import KnowledgeArticle, KnowledgeRevision
from common.database import connection

__all__ = ["KnowledgeBase", "KnowledgeMissing", "index_directory", "knowledge_directory"]

logger = logging.getLogger(__name__)


def knowledge_directory(data_dir: Path) -> Path:
    """Where packages and indexes are kept."""
    return data_dir / "knowledge"


def index_directory(data_dir: Path, revision: str) -> Path:
    """Where the search index of `revision` is kept."""
    return knowledge_directory(data_dir) / revision


class KnowledgeBase:
    """The articles of one revision. Immutable: an update makes another one."""

    def __init__(self, revision: str, articles: list[Article], index: SearchIndex) -> None:
        self.revision = revision
        self.articles = articles
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
        return cls(active.revision, articles, _index_of(articles, index_directory(data_dir, active.revision)))

    def __len__(self) -> int:
        return len(self.articles)

    def article(self, number: str) -> Article | None:
        """The article with this number, in any spelling, or None."""
        position = self._searcher.directory.find(number)
        return None if position is None else self.articles[position]

    def search(self, query: str, limit: int = 10) -> list[SearchHit]:
        """The best hits for `query`, articles that it names first; may be less than relevant."""
        return self._searcher.search(query, limit)

    def relevant(self, query: str, limit: int = 10) -> list[SearchHit]:
        """The hits that an answer can be grounded on: none for a question that has nothing to do with the Code. In a
        letter, whose many words no article has, they are those of the sentence that finds most."""
        found = self._relevant(query, limit)
        if found:
            return found
        tried = [self._relevant(sentence, limit) for sentence in sentences_to_try(query)]
        return max(tried, key=lambda hits: hits[0].score if hits else 0.0, default=[])

    def _relevant(self, query: str, limit: int) -> list[SearchHit]:
        return [hit for hit in self.search(query, limit) if hit.score >= RELEVANT]


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


def _index_of(articles: list[Article], directory: Path) -> SearchIndex:
    index = SearchIndex.load(directory, len(articles))
    if index is not None:
        return index
    index = SearchIndex.build(articles)
    try:
        index.save(directory)
    except OSError:
        logger.warning("search index not saved", exc_info=True)
    return index
