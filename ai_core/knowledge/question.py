"""A question in people's words -> weighted stems, and how much of it a document covers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ai_core.knowledge.synonyms import Phrase, Synonym, find_synonyms
from ai_core.knowledge.words import labour_stems, pairs, stems, weak_stems

StemOf = Callable[[str], str]
WEAK = 0.4  # weight of a word that belongs to asking
REPLACED = 0.4  # most that an everyday word keeps when the Code has its own words for it
COMMON = 5.0  # how rare (nats) an everyday word counts at most: the Code may not have it at all
MEANING = 0.6  # weight of the Code's words for an everyday word


@dataclass(frozen=True, slots=True)
class Question:
    """`words` are the question's own stems with what each is worth; `terms` and `term_pairs` are what is looked for."""

    words: dict[str, float]
    terms: dict[str, float]
    term_pairs: dict[str, float]
    synonyms: tuple[Synonym, ...]

    @classmethod
    def parse(cls, text: str, *, synonyms: bool = True, stem_of: StemOf | None = None) -> Question:
        """Read a question. One without any word that carries meaning has no terms. `synonyms`: everyday words also mean
        the Code's. `stem_of` gives the stem that a word, maybe misspelt, stands for."""
        found = stems(text, stem_of)
        words = {word: WEAK if word in weak_stems() else 1.0 for word in found}
        meant = tuple(find_synonyms(found)) if synonyms else ()
        return cls(words, _terms(words, meant), _pairs(found, meant), meant)

    def coverage(self, presence: Callable[[str], float], rarity: Callable[[str], float]) -> float:
        """How much of the question a document has, in 0..1: the presence of each word, weighted by its rarity.

        An everyday word is as present as the Code's words for it are, and not rarer than COMMON.
        """
        meant: dict[str, float] = {}
        for synonym in self.synonyms:
            share = max(sum(map(presence, meaning)) / len(meaning) for meaning in synonym.meanings)
            for word in synonym.words:
                meant[word] = max(meant.get(word, 0.0), share)
        worth = {
            word: weight * (min(COMMON, rarity(word)) if word in meant else rarity(word))
            for word, weight in self.words.items()
        }
        covered = sum(worth[word] * max(presence(word), meant.get(word, 0.0)) for word in worth)
        return covered / total if (total := sum(worth.values())) else 0.0

    def about_work(self) -> bool:
        """Whether the question has a word that hardly any other holds, or an expression of working life."""
        return not labour_stems().isdisjoint(self.words) or any(len(synonym.words) > 1 for synonym in self.synonyms)


def _terms(words: dict[str, float], synonyms: tuple[Synonym, ...]) -> dict[str, float]:
    terms = dict(words)
    for synonym in synonyms:
        own = {stem for meaning in synonym.meanings for stem in meaning}
        for word in synonym.words:
            if word not in own:
                terms[word] = min(terms[word], REPLACED)
    for synonym in synonyms:
        for meaning in synonym.meanings:
            for stem in meaning:
                terms[stem] = max(terms.get(stem, 0.0), MEANING)
    return terms


def _pairs(found: list[str], synonyms: tuple[Synonym, ...]) -> dict[str, float]:
    meanings: list[Phrase] = [meaning for synonym in synonyms for meaning in synonym.meanings]
    weights = {pair: MEANING for meaning in meanings for pair in pairs(meaning)}
    return weights | dict.fromkeys(pairs(found), 1.0)
