"""Answers that can only quote: for a model that finds the right passage more surely than it copies it.

Every possible answer is a lead-in, a whole sentence (or a sentence with its list) of an article in the prompt, and the
closing mark. The search narrows them down, the model chooses one; it cannot misquote, nor put one article's words under
another's number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ai_core.prompts import CUT_MARK, PromptArticle

LEAD_IN = "Selon l'article {} du Code du travail, « "
NOTHING_FOUND = (
    "Je n'ai trouvé aucun article du Code du travail qui réponde à cette question. "
    "Adressez-vous à l'inspection du travail ou à un avocat en droit du travail.",
    "Aucun article du Code du travail ne correspond à votre question. "
    "L'inspection du travail ou un avocat en droit du travail pourra vous renseigner.",
)
NOT_IN_ARTICLES = (
    "Les articles trouvés ne répondent pas à cette question. "
    "Je ne réponds qu'aux questions de droit du travail ; "
    "l'inspection du travail ou un avocat peut aussi vous renseigner.",
)
WHO_I_AM = (
    "Je suis Code du Travail Neo, un assistant de démonstration sur le droit du travail français. "
    "Je suis une intelligence artificielle : je cite les articles du Code du travail, "
    "je ne donne pas de conseil juridique.",
)
HELLO = (
    "Bonjour ! Je suis l'assistant Code du Travail Neo, une intelligence artificielle de démonstration. "
    "Posez-moi votre question sur le droit du travail français.",
)
THANKS = ("Avec plaisir ! N'hésitez pas si vous avez une autre question sur le droit du travail.",)
GOODBYE = ("Au revoir et bonne journée !",)
ABILITIES = (
    "Je cherche les articles du Code du travail qui répondent à votre question et j'en cite le passage utile. "
    "Par exemple : « Quelle est la durée légale du travail ? »",
)

MAX_QUOTE_CHARACTERS = 560
MAX_LIST_CHARACTERS = 800
MIN_QUOTE_CHARACTERS = 25
HEAD_CHARACTERS = 60  # of two texts that begin alike: they are the same passage
_SENTENCE_END = re.compile(r"(?<![A-Z])(?<!art)(?<!al)(?<!\d°)\.\s+(?=[A-ZÀÉÈÊÎÔÇŒ«])")
_MARKER = re.compile(r"^(?:[IVX]+(?:\s*(?:bis|ter))?\s*\.?\s*[-–—.]+\s*)+")
_ITEM = re.compile(r"^(?:\d+°|[a-z]\)|[-–—•])")


@dataclass(frozen=True, slots=True)
class Passage:
    """An article of the prompt, and the part of it that the search found most telling."""

    article: PromptArticle
    excerpt: str = ""


def possible_answers(passages: Sequence[Passage]) -> list[str]:
    """Every answer that quotes one of `passages`, the one that says that none of them answers, and small talk."""
    found = [(passage, unit) for passage in passages for unit in telling_units(passage)]
    # A list that holds the question's words in one of its items is mostly about something else.
    opening = [(passage, unit) for passage, unit in found if _one_line(unit).startswith(_head(passage.excerpt))]
    quotes = [LEAD_IN.format(passage.article.number) + unit + closing(unit) for passage, unit in opening or found]
    refusals = NOT_IN_ARTICLES if passages else NOTHING_FOUND
    return [*quotes, *refusals, *HELLO, *WHO_I_AM, *THANKS, *GOODBYE, *ABILITIES]


def telling_units(passage: Passage) -> list[str]:
    """The unit in which the excerpt begins, else those that it holds, else all of the article, else the excerpt."""
    units = list(quotable_units(passage.article.text.removesuffix(CUT_MARK)))
    excerpt = _head(passage.excerpt)
    beginning = [unit for unit in units if excerpt and excerpt in _one_line(unit)]
    held = [unit for unit in units if _head(unit) in _one_line(passage.excerpt)]
    whole = _one_line(passage.excerpt.rstrip("…"))
    return beginning or held or units or ([whole] if whole else [])


def _head(text: str) -> str:
    return _one_line(text.rstrip("…"))[:HEAD_CHARACTERS].rstrip()


def _one_line(text: str) -> str:
    return " ".join(text.split())


def closing(unit: str) -> str:
    """Ends the quote; one that stops inside a list says so."""
    return " »" if unit.endswith((".", "!", "?", "»")) else " […] »"


def quotable_units(text: str) -> Iterator[str]:
    """Sentences; one that announces a list takes the list along as far as it fits."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        end = at + 1
        while end < len(lines) and _ITEM.match(lines[end]):
            end += 1
        if end > at + 1 and lines[at].endswith(":"):
            yield from _list_units(text, lines[at], lines[at + 1 : end])
            at = end
        else:
            yield from _keep(sentences(lines[at]))
            at += 1


def sentences(line: str) -> list[str]:
    """The sentences of one paragraph, without the leading "I. -" of a numbered part."""
    line = _MARKER.sub("", line)
    ends = [match.start() + 1 for match in _SENTENCE_END.finditer(line)]
    return [line[start:end].strip() for start, end in zip([0, *ends], [*ends, len(line)], strict=True)]


def _list_units(text: str, opening: str, items: list[str]) -> Iterator[str]:
    *before, announcement = sentences(opening)
    yield from _keep(before)
    whole = "\n".join([announcement, *items])
    if len(whole) > MAX_LIST_CHARACTERS:
        yield from _keep(_ITEM.sub("", item).strip() for item in items)
    while items and len(whole) > MAX_LIST_CHARACTERS:
        whole = "\n".join([announcement, *(items := items[:-1])])
    if items and whole in text:
        yield whole


def _keep(candidates: Iterable[str]) -> Iterator[str]:
    for unit in candidates:
        if MIN_QUOTE_CHARACTERS <= len(unit) <= MAX_QUOTE_CHARACTERS and not unit.endswith(":"):
            yield unit
