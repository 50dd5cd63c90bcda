"""Which articles and practical sheets go into the prompt, and which sources the answer carries."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ai_core import texts
from ai_core.knowledge.article import IN_FORCE
from ai_core.knowledge.search import SearchHit
from ai_core.knowledge.sheet_search import SheetHit
from ai_core.prompts import CUT_MARK, PromptArticle, PromptSheet, sheet_block

_SENTENCE_END = re.compile(r"(?<=[.;!?])\s+|\n+")
MINIMUM_TOKENS = 32  # of an article: less of its text would mislead more than it tells
SHEET_SHARE = 0.25  # most of the room for articles that a sheet may take: the law comes first
MOST_NAMED = 5  # articles that changed, in the prompt

ARTICLE = "article"
SHEET = "fiche"


@dataclass(frozen=True, slots=True)
class Source:
    """What was given to the model: an article, or a practical sheet (`kind` "fiche") with the `articles` that it names,
    the day on which it was last `updated`, and which of them `changed` since. `label` is a line for people, in French,
    that says what it is. `score` is the search's, from 0 to 1; `section` runs from the part of the code, or from the
    theme, down; dates are ISO 8601, `in_force_until` is the first day on which this version no longer applies; a sheet
    has neither `state` ("") nor such dates."""

    number: str
    title: str
    label: str
    url: str
    excerpt: str
    score: float
    section: tuple[str, ...] = ()
    state: str = IN_FORCE
    in_force_from: str | None = None
    in_force_until: str | None = None
    kind: str = ARTICLE
    updated: str | None = None
    articles: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def source_of(hit: SearchHit) -> Source:
    """The source that a client is shown for `hit`."""
    article = hit.article
    return Source(
        number=article.number,
        title=article.title,
        label=texts.ARTICLE_LABEL.format(number=article.number, title=article.title),
        url=article.url,
        excerpt=hit.excerpt,
        score=round(hit.score, 4),
        section=article.section_path,
        state=article.state,
        in_force_from=None if article.in_force_from is None else article.in_force_from.isoformat(),
        in_force_until=None if article.in_force_until is None else article.in_force_until.isoformat(),
    )


def source_of_sheet(hit: SheetHit) -> Source:
    """The source that a client is shown for `hit`."""
    sheet = hit.sheet
    label = texts.SHEET_LABEL if sheet.updated is None else texts.SHEET_LABEL_DATED
    if hit.changed:
        label = texts.SHEET_LABEL_OUTDATED
    return Source(
        number=sheet.number,
        title=sheet.title,
        label=label.format(title=sheet.title, day=sheet.updated and f"{sheet.updated:%d/%m/%Y}"),
        url=sheet.url,
        excerpt=hit.excerpt,
        score=round(hit.score, 4),
        section=sheet.section,
        state="",
        kind=SHEET,
        updated=None if sheet.updated is None else sheet.updated.isoformat(),
        articles=tuple(article.number for article in hit.articles),
        changed=hit.changed,
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


def fit_sheet(hit: SheetHit, budget: int, count: Callable[[str], int]) -> tuple[PromptSheet, int] | None:
    """The part that was found, cut where it must be, and the tokens that it takes: SHEET_SHARE of `budget` at most.

    None where that is too little to say something.
    """
    sheet = hit.sheet
    told = PromptSheet(
        number=sheet.number,
        title=f"{sheet.title} > {hit.part.heading}" if hit.part.heading else sheet.title,
        updated=None if sheet.updated is None else sheet.updated.isoformat(),
        changed=hit.changed[:MOST_NAMED],
        text="",
    )
    heading = count(f"{sheet_block(told)}\n\n")
    room = int(budget * SHEET_SHARE) - heading
    text = cut_to_tokens(hit.part.text, room, count) if room >= MINIMUM_TOKENS else ""
    return (replace(told, text=text), heading + count(text)) if text else None


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
