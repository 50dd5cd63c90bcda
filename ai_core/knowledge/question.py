"""A question in people's words -> weighted stems, and how much of it a document covers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ai_core.knowledge.synonyms import Phrase, Synonym, find_synonyms
from ai_core.knowledge.words import pairs, stems, weak_stems

WEAK = 0.4  # weight of a word that belongs to asking
REPLACED = 0.5  # most that an everyday word keeps when the Code has its own words for it
MEANING = 0.7  # weight of the Code's words for an everyday word


@dataclass(frozen=True, slots=True)
class Question:
    """`words` are the question's own stems with what each is worth; `terms` and `term_pairs` are what is looked for."""

    words: dict[str, float]
    terms: dict[str, float]
    term_pairs: dict[str, float]
    synonyms: tuple[Synonym, ...]

    @classmethod
    def parse(cls, text: str) -> Question:
        """Read a question. One without any word that carries meaning has no terms."""
        found = stems(text)
        words = {word: WEAK if word in weak_stems() else 1.0 for word in found}
        synonyms = tuple(find_synonyms(found))
        return cls(words, _terms(words, synonyms), _pairs(found, synonyms), synonyms)

    def coverage(self, has: Callable[[str], bool], rarity: Callable[[str], float]) -> float:
        """Share of the question, words weighted by rarity, that a document has (`has(stem)`), in 0..1.

        Everyday words count as there when the Code's words for them are.
        """
        meant: dict[str, float] = {}
        for synonym in self.synonyms:
            share = max(sum(map(has, meaning)) / len(meaning) for meaning in synonym.meanings)
            for word in synonym.words:
                meant[word] = max(meant.get(word, 0.0), share)
        total = sum(weight * rarity(word) for word, weight in self.words.items())
        covered = sum(
            weight * rarity(word) * (1.0 if has(word) else meant.get(word, 0.0)) for word, weight in self.words.items()
        )
        return covered / total if total else 0.0


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
