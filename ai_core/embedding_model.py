"""The embedding model that the settings name: texts in, vectors out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ai_core.catalog import memory
from ai_core.catalog.entry import NOT_IN_NAMES
from ai_core.catalog.stored_weights import disk_bytes
from ai_core.engine.embedding import Embedder, EmbeddingJob, Embeddings
from ai_core.engine.job import InvalidInput
from ai_core.extra_model import ExtraModel

MAX_WAITING = 64


class EmbeddingModel:
    """`path` is a GGUF file. Loaded at the first request."""

    def __init__(self, path: Path, *, timeout: float, idle_seconds: float) -> None:
        self.id = NOT_IN_NAMES.sub("-", path.stem)
        self._path = path
        self.memory: ExtraModel[Embedder] = ExtraModel(
            self.id, self._load, max_waiting=MAX_WAITING, timeout=timeout, idle_seconds=idle_seconds
        )

    def embed(
        self,
        texts: Sequence[str],
        *,
        dimension: int | None = None,
        cut: bool = False,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Embeddings:
        """A vector for each text. Raises ServiceError (see ExtraModel), and InvalidFields for a `dimension` that the
        model's vectors do not have, and for a text that is too long unless it may be `cut`."""

        def make(model: Embedder, deadline: float) -> EmbeddingJob:
            if dimension not in (None, model.info.dimension):
                raise InvalidInput("dimensions", f"the vectors of {self.id} have {model.info.dimension}")
            job = model.job(texts, deadline=deadline)
            long = [place for place, text in enumerate(job.todo) if text.truncated]
            if long and not cut:
                limit = model.info.context_length
                raise InvalidInput(f"input[{long[0]}]", f"longer than {limit} tokens, which is what {self.id} reads")
            return job

        return self.memory.run(make, is_wanted=is_wanted)

    def fingerprint(self) -> str:
        """Names the file in the state that it is in: vectors of another one do not compare."""
        state = self._path.stat()
        return f"{self._path.name} {state.st_size} {state.st_mtime_ns}"

    def _load(self) -> Embedder:
        from ai_core.engine.backends.llama_cpp.embedder import LlamaCppEmbedder

        memory.require(disk_bytes(self._path) + memory.LLAMA_CPP_BYTES)
        return LlamaCppEmbedder(self._path)
