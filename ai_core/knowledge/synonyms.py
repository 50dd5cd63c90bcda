"""Everyday words -> the words of the Code, from synonyms.txt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from ai_core.knowledge.words import data_lines, stems

Phrase = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Synonym:
    """Where `words` stand in a question, the Code may say any of `meanings` (stems)."""

    words: Phrase
    meanings: tuple[Phrase, ...]


def find_synonyms(question: Sequence[str]) -> Iterator[Synonym]:
    """The rules whose left side stands in `question` (stems), in its order.

    The longest wins: in "contrat aidé" the rule for "aidé" alone has nothing to say.
    """
    end = 0
    for position, first in enumerate(question):
        matching = [
            synonym
            for synonym in _rules().get(first, ())
            if tuple(question[position : position + len(synonym.words)]) == synonym.words
        ]
        longest = max((len(synonym.words) for synonym in matching), default=0)
        if position + longest > end:
            end = position + longest
            yield from dict.fromkeys(synonym for synonym in matching if len(synonym.words) == longest)


@cache
def everyday_stems() -> frozenset[str]:
    """Every stem that stands on the left side of a rule."""
    return frozenset(stem for synonym in all_synonyms() for stem in synonym.words)


def all_synonyms() -> Iterator[Synonym]:
    """Every rule."""
    for rules in _rules().values():
        yield from rules


@cache
def _rules() -> dict[str, list[Synonym]]:
    rules: dict[str, list[Synonym]] = defaultdict(list)
    for line in data_lines("synonyms.txt"):
        everyday, _, code = line.partition("=")
        meanings = tuple(phrase for phrase in map(_phrase, code.split(",")) if phrase)
        for words in map(_phrase, everyday.split(",")):
            if words:
                rules[words[0]].append(Synonym(words, meanings))
    return rules


def _phrase(text: str) -> Phrase:
    return tuple(stems(text))
