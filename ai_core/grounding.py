"""Which articles go into the prompt, and which sources the answer carries."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ai_core.knowledge.article import IN_FORCE
from ai_core.knowledge.search import SearchHit
from ai_core.prompts import CUT_MARK, PromptArticle

_SENTENCE_END = re.compile(r"(?<=[.;!?])\s+|\n+")
MINIMUM_TOKENS = 32  # of an article: less of its text would mislead more than it tells


@dataclass(frozen=True, slots=True)
class Source:
    """An article that was given to the model. `score` is the search's, from 0 to 1; `section` runs from the part of the
    code to the section; dates are ISO 8601, the second one the first day on which this version no longer applies."""

    number: str
    title: str
    url: str
    excerpt: str
    score: float
    section: tuple[str, ...] = ()
    state: str = IN_FORCE
    in_force_from: str | None = None
    in_force_until: str | None = None


def source_of(hit: SearchHit) -> Source:
    """The source that a client is shown for `hit`."""
    article = hit.article
    return Source(
        number=article.number,
        title=article.title,
        url=article.url,
        excerpt=hit.excerpt,
        score=round(hit.score, 4),
        section=article.section_path,
        state=article.state,
        in_force_from=None if article.in_force_from is None else article.in_force_from.isoformat(),
        in_force_until=None if article.in_force_until is None else article.in_force_until.isoformat(),
    )


def fit_articles(
    hits: Sequence[SearchHit], budget: int, count: Callable[[str], int]
) -> tuple[list[PromptArticle], list[SearchHit]]:
    """Take whole articles in order while `budget` tokens last, and cut the first one that does not fit.

    `count` gives the number of tokens of a text. Returns what goes into the prompt and the hits that it came from.
    """
    articles: list[PromptArticle] = []
    used: list[SearchHit] = []
    for hit in hits:
        heading = count(f"[{hit.article.number}] {hit.article.title}\n\n\n")
        room = budget - heading
        if room < MINIMUM_TOKENS:
            break
        text = cut_to_tokens(hit.article.text, room, count)
        if not text:
            continue
        articles.append(PromptArticle(hit.article.number, hit.article.title, text))
        used.append(hit)
        budget = room - count(text)
    return articles, used


def cut_to_tokens(text: str, budget: int, count: Callable[[str], int]) -> str:
    """`text` whole, or its first sentences that fit `budget` tokens with a mark after them, or nothing."""
    if count(text) <= budget:
        return text
    room = budget - count(CUT_MARK)
    end = 0
    for boundary in _SENTENCE_END.finditer(text):
        if count(text[: boundary.start()]) > room:
            break
        end = boundary.start()
    return text[:end] + CUT_MARK if end else ""
