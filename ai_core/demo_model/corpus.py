"""The Code du travail as training material: articles as the assistant shows them, and what may be quoted of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from ai_core.knowledge.article import REPEALED
from ai_core.knowledge.legi import parse_code
from ai_core.knowledge.package import read_package
from ai_core.quotations import quotable_units


@dataclass(frozen=True, slots=True)
class LawArticle:
    number: str
    title: str
    text: str
    units: tuple[str, ...] = field(default=())
    """What an answer may quote: a sentence, or a sentence with its list; each one a substring of `text`."""


def read(source: Path) -> list[LawArticle]:
    """Every article with a text that is not repealed, read as the importer reads it. Raises PackageInvalid."""
    code = read_package(source)
    return [
        LawArticle(article.number, article.title, article.text, tuple(quotable_units(article.text)))
        for article in parse_code(code.content, code.source, date.today())
        if article.text and article.state != REPEALED
    ]
