"""Search by question over the practical sheets: by the terms of their parts, as the articles are by theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from ai_core.knowledge.article import Article
from ai_core.knowledge.directory import without_numbers
from ai_core.knowledge.excerpt import best_excerpt
from ai_core.knowledge.index import SearchIndex, stems_of_title
from ai_core.knowledge.question import Question
from ai_core.knowledge.relevance import strength
from ai_core.knowledge.sheet import Sheet, SheetPart
from ai_core.knowledge.spelling import Speller
from ai_core.knowledge.term_scores import Field
from ai_core.knowledge.words import stems

TITLE_WEIGHT, TITLE_LENGTH_PENALTY = 2.0, 0.3
HEADING_WEIGHT, HEADING_LENGTH_PENALTY = 1.0, 0.3
THEMES_WEIGHT, THEMES_LENGTH_PENALTY = 0.5, 0.3
TEXT_WEIGHT, TEXT_LENGTH_PENALTY = 1.0, 0.4
PAIRS = 0.2  # weight of neighbouring words


@dataclass(frozen=True, slots=True)
class SheetHit:
    """A sheet, the part of it that answers best, what that part is worth (see SearchHit.score), and the articles that
    the sheet names and the Code has."""

    sheet: Sheet
    part: SheetPart
    score: float
    excerpt: str
    articles: tuple[Article, ...] = ()

    @property
    def changed(self) -> tuple[str, ...]:
        """The numbers of the articles that are newer than the sheet: what it says of them may be wrong by now."""
        day = self.sheet.updated
        newer = (a.number for a in self.articles if day is not None and (a.in_force_from or date.min) > day)
        return tuple(newer)


def part_count(sheets: Sequence[Sheet]) -> int:
    """How many documents the index of `sheets` has."""
    return sum(len(sheet.parts) for sheet in sheets)


def sheet_index(sheets: Sequence[Sheet]) -> SearchIndex:
    """The index of the parts of `sheets`, in their order: about 1 s for the 2,600 of the real package."""
    found = [(sheet, part) for sheet in sheets for part in sheet.parts]
    return SearchIndex.of(
        [
            Field([stems(part.text) for _, part in found], TEXT_WEIGHT, TEXT_LENGTH_PENALTY),
            Field([stems(part.heading) for _, part in found], HEADING_WEIGHT, HEADING_LENGTH_PENALTY),
            Field([stems(sheet.title) for sheet, _ in found], TITLE_WEIGHT, TITLE_LENGTH_PENALTY),
        ],
        [Field([stems(" ".join(sheet.section)) for sheet, _ in found], THEMES_WEIGHT, THEMES_LENGTH_PENALTY)],
    )


class SheetSearcher:
    """Searches `sheets` through `index`, which is theirs. Only reads: any thread may call it."""

    def __init__(self, sheets: Sequence[Sheet], index: SearchIndex) -> None:
        self._parts = [(sheet, part) for sheet in sheets for part in sheet.parts]
        self._index = index
        self._speller = Speller.of(index.terms)

    def search(self, query: str, limit: int) -> list[SheetHit]:
        """The best `limit` sheets, each with its best part."""
        question = Question.parse(without_numbers(query), stem_of=self._speller.stem_of)
        terms = self._index.terms
        scores = terms.score(question.terms) + PAIRS * self._index.term_pairs.score(question.term_pairs)
        order = [int(position) for position in np.argsort(-scores, kind="stable") if scores[position] > 0]
        best: dict[str, int] = {}
        for position in order:
            best.setdefault(self._parts[position][0].number, position)
            if len(best) == limit:
                break
        if not best:
            return []
        found = list(best.values())
        first = strength(question, terms, order[:5], self._in_titles)
        return [self._hit(at, first * float(scores[at] / scores[found[0]]), question) for at in found]

    def _in_titles(self, position: int, word: str) -> bool:
        sheet, part = self._parts[position]
        return any(word in stems_of_title(title) for title in (sheet.title, part.heading))

    def _hit(self, position: int, score: float, question: Question) -> SheetHit:
        sheet, part = self._parts[position]
        return SheetHit(sheet, part, score, best_excerpt(part.text, question.terms, self._index.terms.rarity_of))
