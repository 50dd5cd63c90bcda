"""Vectors of texts: what an embedding model promises, whatever library computes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ai_core.engine.batch_engine import BatchModel
from ai_core.engine.job import Job

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EmbeddingModelInfo:
    """`dimension` of the vectors; `context_length` in tokens of one text; `size_bytes` are the weights; `pooling` says
    how the tokens of a text become one vector: mean, cls or last."""

    name: str
    description: str
    architecture: str
    dimension: int
    context_length: int
    pooling: str
    size_bytes: int
    quantization: str


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """`truncated`: the text was longer than the context, and its end is left out."""

    tokens: tuple[int, ...]
    truncated: bool


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """One row of `vectors`, (texts, dimension), for each text in the order given, of length 1: their dot product is the
    cosine. `tokens` that were computed, and whether the text was cut for it, for each text too."""

    vectors: Vector
    tokens: tuple[int, ...]
    truncated: tuple[bool, ...]


EmbeddingJob = Job[TokenizedText, Vector, Embeddings]


class Embedder(BatchModel[TokenizedText, Vector], Protocol):
    """To be run by a BatchEngine. `info` and `job` are for any thread."""

    @property
    def info(self) -> EmbeddingModelInfo: ...

    def job(self, texts: Sequence[str], *, deadline: float | None = None) -> EmbeddingJob:
        """To be submitted to the engine. A text longer than the context is cut, and its result says so. Models that
        want "query: " or the like before a text get it from the caller. Raises InvalidInput."""

    def close(self) -> None:
        """Give the memory back, once the engine has stopped."""


def join(texts: Sequence[TokenizedText], vectors: Sequence[Vector]) -> Embeddings:
    return Embeddings(
        np.stack(vectors), tuple(len(text.tokens) for text in texts), tuple(text.truncated for text in texts)
    )
