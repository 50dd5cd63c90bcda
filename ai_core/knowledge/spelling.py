"""Words that the Code does not know, read as the words of the Code that they were meant to be.

Only what neither the Code nor the synonyms know is corrected: one wrong letter, two in long words. "d'essai" written
without its apostrophe is "essai". Words that the stemmer tears apart are compared whole: "demision" is "démission".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache

from ai_core.knowledge.synonyms import everyday_stems
from ai_core.knowledge.term_scores import TermScores
from ai_core.knowledge.words import exceptional_words, stem, weak_stems

SHORTEST = 6  # letters of a word: shorter ones are near too many others
LONG = 8  # letters of a stem from which on two may be wrong
EVERYDAY = 5.0  # how rare a word is taken to be that the Code does not have
ELIDED = frozenset("dlsjmntc")


class Speller:
    """`code` maps each stem of the Code to how rare it is; `others` are known for other reasons. Only reads: any
    thread may call it."""

    def __init__(self, code: Mapping[str, float], others: Collection[str]) -> None:
        self._known = dict.fromkeys(others, EVERYDAY) | dict(code)
        self._by_start: dict[tuple[str, int], list[str]] = defaultdict(list)
        for word in self._known:
            if word.isalpha():
                self._by_start[word[0], len(word)].append(word)
        self.stem_of: Callable[[str], str] = lru_cache(maxsize=10_000)(self._stem_of)
        """The stem that a folded word stands for: its own where that is known, or where nothing is near."""

    @classmethod
    def of(cls, terms: TermScores) -> Speller:
        """For questions to what `terms` indexes: its own words, those of the synonyms and those of asking are known."""
        return cls({stem: terms.rarity_of(stem) for stem in terms.vocabulary}, everyday_stems() | weak_stems())

    def _stem_of(self, word: str) -> str:
        own = stem(word)
        if self._knows(own) or len(word) < SHORTEST or not word.isalpha():
            return own
        if (whole := self._exceptional(word)) is not None:
            return whole
        if word[0] in ELIDED and self._knows(stem(word[1:])):
            return stem(word[1:])
        return self._nearest(own) or own

    def _exceptional(self, word: str) -> str | None:
        near = (other for other in exceptional_words() if distance_within(word, other, 1) is not None)
        return next((stem(other) for other in near if self._knows(stem(other))), None)

    def _knows(self, found: str) -> bool:
        return found in self._known

    def _nearest(self, own: str) -> str | None:
        wrong = 2 if len(own) >= LONG else 1
        near = [
            (distance, self._known[known], known)
            for length in range(len(own) - wrong, len(own) + wrong + 1)
            for known in self._by_start.get((own[0], length), ())
            if (distance := distance_within(own, known, wrong)) is not None
        ]
        return min(near)[2] if near else None  # of those equally near the commonest


def distance_within(one: str, other: str, most: int) -> int | None:
    """Letters to insert, leave out, replace or swap with their neighbour (optimal string alignment) to get from `one`
    to `other`; None beyond `most`."""
    if abs(len(one) - len(other)) > most:
        return None
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        earlier, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return None
    return row[-1] if row[-1] <= most else None
