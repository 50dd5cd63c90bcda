"""The knowledge that this process answers from; what is newer is taken up without a restart."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import peewee

from ai_core.knowledge import article_vectors
from ai_core.knowledge.article_vectors import ArticleVectors, Semantic
from ai_core.knowledge.base import KnowledgeBase, KnowledgeMissing
from ai_core.knowledge.errors import UpdateRunning
from ai_core.knowledge.places import vectors_directory
from ai_core.knowledge.sheet_base import SheetBase
from ai_core.storage import KnowledgeRevision, SheetRevision
from common.database import connection

logger = logging.getLogger(__name__)

LOOK_EVERY = 10.0  # seconds between looks at which revisions are active


class CurrentKnowledge:
    """Hands out the active KnowledgeBase. Whoever holds an older one may go on using it. `sheets`: the practical sheets
    take part where they are imported. `semantic`: the meaning of questions does, once the articles have their vectors.
    """

    def __init__(
        self, database: peewee.Database, data_dir: Path, *, sheets: bool = False, semantic: Semantic | None = None
    ) -> None:
        self._database = database
        self._data_dir = data_dir
        self._with_sheets = sheets
        self._semantic = semantic
        self._base: KnowledgeBase | None = None
        self._lock = threading.Lock()
        self._next_look = 0.0

    def get(self) -> KnowledgeBase | None:
        """The active revision, or None when the Code has not been imported."""
        if time.monotonic() >= self._next_look and self._lock.acquire(blocking=self._base is None):
            try:
                self._look()
            finally:
                self._lock.release()
        return self._base

    def compute_vectors(self, is_wanted: Callable[[], bool]) -> None:
        """Give the articles of the active revision the vectors that they lack: a regular job. Ends early when it
        `is_wanted` no more; the next run goes on. Raises ServiceError while the model cannot be had."""
        base = self.get()
        if self._semantic is None or base is None:
            return
        try:
            article_vectors.build(self._vectors_of(base, self._semantic), base.articles, self._semantic, is_wanted)
        except UpdateRunning:
            logger.debug("another process computes the vectors")

    def vectors_done(self) -> int | None:
        """How many articles of the active revision have their vector; None where none are wanted."""
        base = self.get()
        if self._semantic is None or base is None:
            return None
        return article_vectors.rows_done(self._vectors_of(base, self._semantic))

    def _vectors_of(self, base: KnowledgeBase, semantic: Semantic) -> Path:
        return vectors_directory(self._data_dir, base.revision) / f"{semantic.key}.f32"

    def _look_for_vectors(self, base: KnowledgeBase, semantic: Semantic) -> None:
        vectors = ArticleVectors.load(self._vectors_of(base, semantic), len(base))
        if vectors is not None:
            self._base = base.with_nearest(partial(_nearest, semantic, vectors))
            logger.info("article vectors loaded", extra={"revision": base.revision})

    def _look(self) -> None:
        if time.monotonic() < self._next_look:
            return
        try:
            with connection(self._database):
                self._look_for_code()
                if self._with_sheets and self._base is not None:
                    self._look_for_sheets(self._base)
            if self._semantic is not None and self._base is not None and self._base.nearest is None:
                self._look_for_vectors(self._base, self._semantic)
        except KnowledgeMissing:
            logger.warning("knowledge missing", exc_info=True)
        except peewee.PeeweeException:
            # The database may be away for a while: the revision in memory goes on serving.
            logger.warning("knowledge revision could not be read", exc_info=True)
        self._next_look = time.monotonic() + LOOK_EVERY

    def _look_for_code(self) -> None:
        active = KnowledgeRevision.get_or_none(KnowledgeRevision.active == True)  # noqa: E712 - an SQL expression
        if active is not None and (self._base is None or self._base.revision != active.revision):
            sheets = None if self._base is None else self._base.sheets
            self._base = KnowledgeBase.load(self._database, self._data_dir).with_sheets(sheets)
            logger.info("knowledge loaded", extra={"revision": self._base.revision})

    def _look_for_sheets(self, base: KnowledgeBase) -> None:
        active = SheetRevision.get_or_none(SheetRevision.active == True)  # noqa: E712 - an SQL expression
        if active is not None and (base.sheets is None or base.sheets.revision != active.revision):
            sheets = SheetBase.load(self._database, self._data_dir)
            self._base = base.with_sheets(sheets)
            logger.info("practical sheets loaded", extra={"revision": sheets.revision})


def _nearest(semantic: Semantic, vectors: ArticleVectors, query: str, limit: int) -> Sequence[int]:
    vector = semantic.query(query)
    return () if vector is None else vectors.nearest(vector, limit)
