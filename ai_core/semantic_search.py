"""The embedding model that the settings name, for search: articles in the background, questions at once or not."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Sequence

import numpy as np

from ai_core.embedding_model import EmbeddingModel
from ai_core.engine.embedding import Vector
from common.errors import InvalidFields, ServiceError

PATIENCE = 0.5  # seconds that a search waits for the vector of its question


class SemanticSearch:
    """`query_prefix` and `passage_prefix` are what the model wants before a text ("query:", "passage:")."""

    def __init__(self, model: EmbeddingModel, *, query_prefix: str = "", passage_prefix: str = "") -> None:
        self._model = model
        self._query_prefix = f"{query_prefix} ".lstrip()
        self._passage_prefix = f"{passage_prefix} ".lstrip()
        self._warming = threading.Lock()
        self.key = hashlib.sha256(f"{model.fingerprint()}\n{self._passage_prefix}".encode()).hexdigest()[:12]

    def passages(self, texts: Sequence[str]) -> Vector:
        """A row for each text, cut to what the model reads. Raises ServiceError while the model cannot be had."""
        return self._model.embed([self._passage_prefix + text for text in texts], cut=True).vectors

    def query(self, text: str) -> Vector | None:
        """The vector of a question. None while the model is being loaded, which this begins, or is busy: the search
        goes on without it."""
        if not self._model.memory.is_loaded:
            if self._warming.acquire(blocking=False):
                threading.Thread(target=self._warm, name="warm embeddings", daemon=True).start()
            return None
        latest = time.monotonic() + PATIENCE
        try:
            told = self._query_prefix + text
            found = self._model.embed([told], cut=True, is_wanted=lambda: time.monotonic() < latest)
            return np.asarray(found.vectors[0], dtype=np.float32)
        except (ServiceError, InvalidFields):
            return None

    def _warm(self) -> None:
        try:
            self._model.embed(["a"])
        except ServiceError:
            pass  # the model's own log says why
        finally:
            self._warming.release()
