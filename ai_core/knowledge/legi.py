"""The JSON tree of legi-data -> articles in the order of the code.

Nodes are `{"type": "code" | "section" | "article", "data": {...}, "children": [...]}`; dates are milliseconds since
1970 at midnight UTC; an end in 2999 (or 2222, in the old part) means that no end is known.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from ai_core.knowledge.article import Article, state_on
from ai_core.knowledge.errors import PackageInvalid
from ai_core.knowledge.markup import meaningful_title, plain_text
from ai_core.knowledge.numbers import normalise

CODE_ID = "LEGITEXT000006072050"
NO_END_YEAR = 2200  # a version that ends later has no known end

_EPOCH = datetime(1970, 1, 1)
_STEM = re.compile(r"[LRDA]\*?\d{2,4}")
_Node = dict[str, Any]


def parse_code(content: bytes, source: str, today: date) -> list[Article]:
    """Every article of the code in `content`, numbers unique, states as of `today`.

    Raises PackageInvalid, which names `source`, for anything but the JSON of the Code du travail.
    """
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise PackageInvalid(
            f"{source}: not valid JSON ({error}); expected the Code du travail of legi-data."
        ) from None
    if not isinstance(tree, dict) or tree.get("type") != "code" or _data(tree).get("id") != CODE_ID:
        raise PackageInvalid(f"{source}: JSON, but not the Code du travail ({CODE_ID}) of legi-data.")
    try:
        articles = [_article(data, path, today) for data, path in _walk(tree, ())]
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise PackageInvalid(f"{source}: an article has an unexpected shape ({error!r}).") from error
    if not articles:
        raise PackageInvalid(f"{source}: the code holds no article.")
    return _with_unique_numbers(articles)


def _data(node: _Node) -> _Node:
    data = node.get("data")
    return data if isinstance(data, dict) else {}


def _walk(node: _Node, path: tuple[str, ...]) -> Iterator[tuple[_Node, tuple[str, ...]]]:
    for child in node.get("children") or ():
        data = child["data"]
        if child["type"] == "article":
            yield data, path
        else:
            title = " ".join((data.get("title") or "").split())
            yield from _walk(child, (*path, title) if title else path)


def _article(data: _Node, path: tuple[str, ...], today: date) -> Article:
    written = " ".join(data["num"].split())
    start, end = _day(data.get("dateDebut")), _day(data.get("dateFin"))
    return Article(
        number=normalise(written) or written,
        legifrance_id=data["id"],
        title=meaningful_title(path),
        section_path=path,
        text=plain_text(data.get("texteHtml") or data.get("texte") or ""),
        nota=plain_text(data.get("notaHtml") or data.get("nota") or ""),
        state=state_on(today, start, end),
        in_force_from=start,
        in_force_until=end,
    )


def _day(milliseconds: int | None) -> date | None:
    if milliseconds is None:
        return None
    # fromtimestamp() refuses such years on some platforms; the sum does not.
    day = (_EPOCH + timedelta(milliseconds=milliseconds)).date()
    return None if day.year >= NO_END_YEAR else day


def _with_unique_numbers(articles: list[Article]) -> list[Article]:
    """Annexes share numbers. The first keeps the bare one, a later one is named for the articles before it:
    "Annexe I", "Annexe I (R4452)"."""
    taken: Counter[str] = Counter()
    unique: list[Article] = []
    stem = ""
    for article in articles:
        number = article.number
        if taken[number]:
            number = f"{article.number} ({stem or taken[article.number] + 1})"
            if taken[number]:
                number = f"{number} {taken[number] + 1}"
        taken[article.number] += 1
        taken[number] += number != article.number
        unique.append(article if number == article.number else replace(article, number=number))
        if match := _STEM.match(article.number):
            stem = match[0]
    return unique
