"""A vector for each article of a revision, computed once by an embedding model and kept beside the search index.

The file is a header of 16 int32, the first of which is the dimension, then a row of float32 an article, in their order.
It grows under the name .part, so that a build that was stopped goes on where it was, and is renamed when it is whole.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Protocol

import numpy as np
import numpy.typing as npt

from ai_core.knowledge.article import Article
from ai_core.knowledge.lock import update_lock
from ai_core.knowledge.markup import clean_title

Vectors = npt.NDArray[np.float32]

AT_ONCE = 8  # articles: between two such steps the model answers others
TITLES = 3  # of the section path, the deepest
LONGEST = 8_000  # characters of an article: far more than embedding models read
_HEADER = np.dtype(np.int32).itemsize * 16
_CELL = np.dtype(np.float32).itemsize

logger = logging.getLogger(__name__)


class Semantic(Protocol):
    """An embedding model for search. Vectors have length 1; those made under another `key` do not compare."""

    key: str

    def passages(self, texts: Sequence[str]) -> Vectors:
        """A row for each text; what is too long is cut."""

    def query(self, text: str) -> Vectors | None:
        """The vector of a question; None when it cannot be had at once."""


class ArticleVectors:
    """The vectors of all articles, on the disk until they are used. Only reads: any thread may call it."""

    def __init__(self, rows: Vectors) -> None:
        self._rows = rows

    @classmethod
    def load(cls, path: Path, count: int) -> ArticleVectors | None:
        """The vectors of `count` articles; None while they are not whole, or when they are damaged."""
        try:
            dimension = _dimension(path)
            if path.stat().st_size != _HEADER + count * dimension * _CELL or not dimension:
                return None
            return cls(np.memmap(path, dtype=np.float32, mode="r", offset=_HEADER, shape=(count, dimension)))
        except OSError:
            return None

    def nearest(self, vector: Vectors, limit: int) -> list[int]:
        """The positions of the `limit` articles nearest to `vector`, best first; none for one of another dimension."""
        if vector.shape != self._rows.shape[1:]:
            return []
        closeness = self._rows @ vector
        count = min(limit, len(closeness))
        best = np.argpartition(-closeness, count - 1)[:count] if count else np.empty(0, dtype=np.int64)
        return [int(position) for position in best[np.lexsort((best, -closeness[best]))]]


def build(
    path: Path, articles: Sequence[Article], semantic: Semantic, is_wanted: Callable[[], bool] = lambda: True
) -> bool:
    """Compute what is missing of the vectors of `articles`; whether they are whole now.

    Ends early when it `is_wanted` no more. Raises what `semantic` does, OSError, and UpdateRunning when another process
    is at it; what was computed stays.
    """
    if path.exists():
        return True
    path.parent.mkdir(parents=True, exist_ok=True)
    with update_lock(path.parent), _part(path).open("ab") as file:
        start = _whole_rows(file, _part(path))
        for position in range(start, len(articles), AT_ONCE):
            if not is_wanted():
                return False
            _append(file, semantic.passages([_told(article) for article in articles[position : position + AT_ONCE]]))
            if position // 1000 != (position + AT_ONCE) // 1000:
                logger.info("article vectors", extra={"done": position + AT_ONCE, "of": len(articles)})
        os.replace(_part(path), path)
    logger.info("article vectors are whole", extra={"articles": len(articles)})
    return True


def rows_done(path: Path) -> int:
    """How many articles have their vector already."""
    for file in (path, _part(path)):
        try:
            dimension = _dimension(file)
            return (file.stat().st_size - _HEADER) // (dimension * _CELL) if dimension else 0
        except OSError:
            continue
    return 0


def _part(path: Path) -> Path:
    return path.with_suffix(".part")


def _dimension(path: Path) -> int:
    with path.open("rb") as file:
        header = file.read(_HEADER)
    return int(np.frombuffer(header, dtype=np.int32)[0]) if len(header) == _HEADER else 0


def _whole_rows(file: IO[bytes], path: Path) -> int:
    """The number of rows in the file, cut to whole ones: its writer may have been killed."""
    dimension = max(_dimension(path), 0)
    size = os.fstat(file.fileno()).st_size
    rows = (size - _HEADER) // (dimension * _CELL) if dimension else 0
    file.truncate(_HEADER + rows * dimension * _CELL if rows else 0)
    return rows


def _append(file: IO[bytes], rows: Vectors) -> None:
    if os.fstat(file.fileno()).st_size == 0:
        header = np.zeros(_HEADER // 4, dtype=np.int32)
        header[0] = rows.shape[1]
        file.write(header.tobytes())
    file.write(np.ascontiguousarray(rows, dtype=np.float32).tobytes())
    file.flush()
    os.fsync(file.fileno())  # else a power cut could leave rows of zeros


def _told(article: Article) -> str:
    titles = " > ".join(map(clean_title, article.section_path[-TITLES:]))
    return f"{titles}\n{article.text[:LONGEST]}".strip() or article.number
