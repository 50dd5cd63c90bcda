"""BM25F: what each term adds to the score of each document, worked out once, as sparse arrays.

Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), section 3.5: the counts of a
term in the fields of a document are weighted and normalised by the field's length, summed, then saturated once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SATURATION = 1.5  # k1: how soon more occurrences stop to matter

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of all documents: its stems document by document, its weight, and how much its length counts (b)."""

    documents: Sequence[Sequence[str]]
    weight: float
    length_penalty: float


@dataclass(frozen=True, slots=True)
class TermScores:
    """`added[starts[t]:starts[t+1]]` is what term t adds to the documents `documents[starts[t]:starts[t+1]]`."""

    vocabulary: Mapping[str, int]
    starts: npt.NDArray[Any]
    documents: npt.NDArray[Any]
    added: npt.NDArray[Any]
    rarity: npt.NDArray[Any]  # inverse document frequency, a term
    size: int

    @classmethod
    def build(cls, fields: Sequence[Field]) -> TermScores:
        """Index the documents of `fields`, which all have the same number of documents."""
        size = len(fields[0].documents)
        vocabulary: dict[str, int] = {}
        keys, amounts = zip(*(_entries(field, vocabulary) for field in fields), strict=True)
        # One key for (term, document), so that one sort groups the fields and orders the postings.
        unique, inverse = np.unique(np.concatenate(keys), return_inverse=True)
        counts = np.bincount(inverse.ravel(), weights=np.concatenate(amounts))
        terms, documents = unique >> 32, unique & 0xFFFFFFFF
        frequency = np.bincount(terms, minlength=len(vocabulary))
        rarity = np.log1p((size - frequency + 0.5) / (frequency + 0.5))
        added = counts * (SATURATION + 1) / (counts + SATURATION) * rarity[terms]
        starts = np.concatenate(([0], np.cumsum(frequency)))
        return cls(
            vocabulary,
            starts.astype(np.int64),
            documents.astype(np.int32),
            added.astype(np.float32),
            rarity.astype(np.float32),
            size,
        )

    def score(self, weights: Mapping[str, float]) -> Floats:
        """The score of every document for a question of weighted terms."""
        scores = np.zeros(self.size, dtype=np.float32)
        for term, weight in weights.items():
            if (number := self.vocabulary.get(term)) is not None:
                span = slice(self.starts[number], self.starts[number + 1])
                scores[self.documents[span]] += weight * self.added[span]
        return scores

    def rarity_of(self, term: str) -> float:
        """How telling a term is; one that no document has is as telling as can be."""
        number = self.vocabulary.get(term)
        return float(np.log1p(2 * self.size + 1)) if number is None else float(self.rarity[number])

    def presence(self, document: int, term: str) -> float:
        """How much of what `term` could add `document` gets: 0 without it, 0.4 for once in the text, below 1."""
        number = self.vocabulary.get(term)
        if number is None:
            return 0.0
        start, end = int(self.starts[number]), int(self.starts[number + 1])
        at = start + int(np.searchsorted(self.documents[start:end], document))
        if at == end or int(self.documents[at]) != document:
            return 0.0
        return float(self.added[at]) / (float(self.rarity[number]) * (SATURATION + 1))

    def save(self, directory: Path, name: str) -> None:
        """Write the arrays as NAME.*.npy and the vocabulary as NAME.terms.txt into `directory`."""
        for array in ("starts", "documents", "added", "rarity"):
            np.save(directory / f"{name}.{array}.npy", getattr(self, array))
        (directory / f"{name}.terms.txt").write_text("\n".join([str(self.size), *self.vocabulary]), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path, name: str) -> TermScores:
        """Read what `save` wrote; the arrays stay on the disk until they are used. Raises OSError or ValueError."""
        size, *terms = (directory / f"{name}.terms.txt").read_text(encoding="utf-8").split("\n")
        starts, documents, added, rarity = (
            np.load(directory / f"{name}.{array}.npy", mmap_mode="r")
            for array in ("starts", "documents", "added", "rarity")
        )
        if len(starts) != len(terms) + 1 or len(rarity) != len(terms) or len(documents) != len(added):
            raise ValueError(f"{directory}: the arrays of {name} do not belong together")
        vocabulary = {term: number for number, term in enumerate(terms)}
        return cls(vocabulary, starts, documents, added, rarity, int(size))


def _entries(field: Field, vocabulary: dict[str, int]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    lengths = np.array([len(document) for document in field.documents], dtype=np.int64)
    filled = lengths[lengths > 0]
    average = float(filled.mean()) if len(filled) else 1.0
    amount = field.weight / (1 - field.length_penalty + field.length_penalty * lengths / average)
    numbers = _numbers((term for document in field.documents for term in document), vocabulary, int(lengths.sum()))
    owners = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
    return (numbers << 32) | owners, amount[owners]


def _numbers(terms: Iterable[str], vocabulary: dict[str, int], count: int) -> Integers:
    return np.fromiter((vocabulary.setdefault(term, len(vocabulary)) for term in terms), dtype=np.int64, count=count)
