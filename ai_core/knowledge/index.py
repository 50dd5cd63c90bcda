"""The search index of one revision: which stems stand where in each document. Built once, then read from the disk."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ai_core.knowledge.article import Article
from ai_core.knowledge.markup import clean_title
from ai_core.knowledge.term_scores import Field, TermScores
from ai_core.knowledge.words import data_lines, pairs, stems

TITLE_LEVELS = 4  # the deepest section titles; those above name whole books of the code
TITLE_WEIGHT, TITLE_LENGTH_PENALTY = 1.0, 0.3
TEXT_WEIGHT, TEXT_LENGTH_PENALTY = 1.0, 0.4
NOTA_WEIGHT, NOTA_LENGTH_PENALTY = 0.3, 0.5

_FORMAT = 3  # raise it with every change in what is indexed or how
_DESCRIPTION = "index.json"


@dataclass(frozen=True, slots=True)
class SearchIndex:
    """Scores of single stems and of neighbouring stems, both over the same documents in the same order."""

    terms: TermScores
    term_pairs: TermScores

    @classmethod
    def build(cls, articles: Sequence[Article]) -> SearchIndex:
        """Index `articles`: about 4 s of one core for the whole code."""
        text = [stems(article.text) for article in articles]
        titles = [[_title_stems(article, level) for article in articles] for level in range(TITLE_LEVELS)]
        nota = [stems(article.nota) for article in articles]
        fields = [Field(text, TEXT_WEIGHT, TEXT_LENGTH_PENALTY)]
        fields += [Field(level, TITLE_WEIGHT, TITLE_LENGTH_PENALTY) for level in titles]
        return cls.of(fields, [Field(nota, NOTA_WEIGHT, NOTA_LENGTH_PENALTY)])

    @classmethod
    def of(cls, fields: Sequence[Field], alone: Sequence[Field] = ()) -> SearchIndex:
        """Index documents by `fields`, and by those `alone` of which neighbouring words do not count."""
        paired = [
            Field([pairs(words) for words in field.documents], field.weight, field.length_penalty) for field in fields
        ]
        return cls(TermScores.build([*fields, *alone]), TermScores.build(paired))

    def save(self, directory: Path) -> None:
        """Put the index into `directory`, which holds a whole index afterwards or what it held before."""
        directory.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".building-", dir=directory.parent))
        try:
            self.terms.save(building, "terms")
            self.term_pairs.save(building, "pairs")
            (building / _DESCRIPTION).write_text(json.dumps(_description(self.terms.size)), encoding="utf-8")
            if directory.exists():
                os.replace(directory, building.with_name(f"{building.name}.old"))
            os.replace(building, directory)
        finally:
            shutil.rmtree(building, ignore_errors=True)
            shutil.rmtree(building.with_name(f"{building.name}.old"), ignore_errors=True)

    @classmethod
    def load(cls, directory: Path, size: int) -> SearchIndex | None:
        """Read the index of `size` documents; None when it is missing, damaged or made by other rules."""
        try:
            described = json.loads((directory / _DESCRIPTION).read_text(encoding="utf-8"))
            if described != _description(size):
                return None
            index = cls(TermScores.load(directory, "terms"), TermScores.load(directory, "pairs"))
        except (OSError, ValueError, EOFError):
            return None
        return index if index.terms.size == size == index.term_pairs.size else None


def _title_stems(article: Article, level: int) -> list[str]:
    depth = len(article.section_path) - level
    return list(stems_of_title(article.section_path[depth - 1])) if depth > 0 else []


@cache
def stems_of_title(title: str) -> tuple[str, ...]:
    """The stems of a section's title, its numbering left out."""
    return tuple(stems(clean_title(title)))


def _description(size: int) -> dict[str, object]:
    words = "\n".join(line for name in ("stop_words.txt", "stem_exceptions.txt") for line in data_lines(name))
    return {"format": _FORMAT, "articles": size, "words": hashlib.sha256(words.encode()).hexdigest()}
