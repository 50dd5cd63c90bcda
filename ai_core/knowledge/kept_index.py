"""A search index from the disk, built again where the one there cannot be used."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from ai_core.knowledge.index import SearchIndex

logger = logging.getLogger(__name__)


def kept_index(directory: Path, size: int, build: Callable[[], SearchIndex]) -> SearchIndex:
    """The index of `size` documents in `directory`; what `build` gives, and saved there, when it is missing, damaged or
    made by other rules."""
    index = SearchIndex.load(directory, size)
    if index is not None:
        return index
    index = build()
    try:
        index.save(directory)
    except OSError:
        logger.warning("search index not saved", exc_info=True)
    return index
