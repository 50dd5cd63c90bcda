"""The tree of legi-data becomes articles: numbers, titles, paragraphs, dates, and a name of its own for each annex."""

from __future__ import annotations

import json
from datetime import date

import pytest

from ai_core.knowledge.article import Article
from ai_core.knowledge.errors import PackageInvalid
from ai_core.knowledge.legi import parse_code
from tests.ai_core.knowledge.small_code import article, code, section


def by_number(articles: list[Article]) -> dict[str, Article]:
    return {article.number: article for article in articles}


def test_articles_come_in_order_with_unique_numbers(small_articles: list[Article]) -> None:
    assert [article.number for article in small_articles] == [
        "L9101-1",
        "L9101-2",
        "L9101-3",
        "L9102-1",
        "L9102-2",
        "L9102-3 A",
        "L9102-9",
        "L9103-1",
        "R*9103-2",
        "D9103-3",
        "Annexe I",
        "R9104-1",
        "Annexe I (R9104)",
    ]


def test_the_title_is_the_last_one_that_says_something(small_articles: list[Article]) -> None:
    articles = by_number(small_articles)
    assert articles["L9101-1"].title == "Période d'essai"
    assert articles["L9103-1"].title == "Congés payés"
    assert articles["L9103-1"].section_path[-1] == "Section 1 : Ordre public"


def test_paragraphs_rows_and_entities_become_text(small_articles: list[Article]) -> None:
    articles = by_number(small_articles)
    assert articles["L9102-1"].text == "Le licenciement est notifié par lettre.\nLa lettre est signée."
    assert articles["R*9103-2"].text == "La demande de congés payés est faite à l'écrit, le lundi au plus tard."
    assert articles["D9103-3"].text == "Barème :\n1 an | 3 jours"


def test_dates_and_states() -> None:
    tree = code(
        section(
            "Chapitre",
            article("L1-1", "a", start=date(2020, 1, 1)),
            article("L1-2", "b", start=date(2020, 1, 1), end=date(2026, 6, 1)),
            article("L1-3", "c", start=date(2027, 1, 1)),
        )
    )
    now, gone, coming = parse_code(json.dumps(tree).encode(), "x", date(2026, 6, 1))
    assert (now.state, now.in_force_from, now.in_force_until) == ("in_force", date(2020, 1, 1), None)
    assert (gone.state, gone.in_force_until) == ("repealed", date(2026, 6, 1))
    assert coming.state == "future"


def test_the_address_is_legifrances() -> None:
    tree = code(article("L1-1", "a", identifier="LEGIARTI000033020517"))
    (only,) = parse_code(json.dumps(tree).encode(), "x", date(2026, 6, 1))
    assert only.url == "https://www.legifrance.gouv.fr/codes/article_lc/LEGIARTI000033020517"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"type": "code", "data": {"id": "LEGITEXT000006070721"}}',
        json.dumps(code()).encode(),
        json.dumps(code({"type": "article", "data": {"num": "L1-1"}})).encode(),
        json.dumps(code({"type": "article", "data": None})).encode(),
        b"[" * 100_000,
    ],
    ids=["empty", "cut", "noise", "list", "other", "another-code", "no-article", "no-id", "no-data", "deep"],
)
def test_anything_else_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(PackageInvalid, match="wrong.json"):
        parse_code(content, "wrong.json", date(2026, 6, 1))
