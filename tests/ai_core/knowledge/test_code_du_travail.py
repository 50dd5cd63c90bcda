"""The whole Code du travail: every article is found by its number, and known questions find their articles."""

from __future__ import annotations

import re
import time

import pytest

from ai_core.knowledge.article import Article
from ai_core.knowledge.base import KnowledgeBase
from ai_core.knowledge.index import SearchIndex


def test_every_article_is_found_first_by_its_number(real_base: KnowledgeBase, real_articles: list[Article]) -> None:
    assert len(real_articles) > 11_000
    for article in real_articles:
        assert real_base.search(article.number, limit=1)[0].article is article


def test_every_article_is_found_in_another_spelling(real_base: KnowledgeBase, real_articles: list[Article]) -> None:
    for article in real_articles:
        if re.match(r"[LRDA]\*?\d", article.number):
            assert real_base.article(f"art. {article.number[0]}. {article.number[1:]}") is article


def test_texts_are_plain(real_articles: list[Article]) -> None:
    for article in real_articles:
        assert article.text, article.number
        assert article.title, article.number
        assert not re.search(r"</?[a-z]+\b[^>]*>|&[a-z]+;", article.text), article.number


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Quelle est la durée légale du travail ?", "L3121-27"),
        ("quelle est la duree legale du travail", "L3121-27"),
        ("Quel est le préavis en cas de démission ?", "L1237-1"),
        ("harcèlement moral", "L1152-1"),
        ("reçu pour solde de tout compte", "L1234-20"),
        ("télétravail", "L1222-9"),
    ],
)
def test_a_known_question_finds_its_article_among_the_first(
    real_base: KnowledgeBase, question: str, expected: str
) -> None:
    assert expected in [hit.article.number for hit in real_base.relevant(question, limit=3)]


@pytest.mark.parametrize("query", ["art. L. 3121-27 ?", "L3121-27", "que dit l'article l 3121-27 du code du travail"])
def test_a_number_asked_for_comes_first(real_base: KnowledgeBase, query: str) -> None:
    assert real_base.relevant(query)[0].article.number == "L3121-27"


@pytest.mark.parametrize(
    "query",
    ["recette de la tarte aux pommes", "xyzzy", "qui a gagné la coupe du monde de football", "L9999-1", "bonjour"],
)
def test_other_subjects_find_nothing(real_base: KnowledgeBase, query: str) -> None:
    assert real_base.relevant(query) == []


def test_a_search_takes_milliseconds(real_base: KnowledgeBase) -> None:
    times = []
    for question in ("Quel est le préavis en cas de démission ?", "congés payés et arrêt maladie", "smic horaire") * 10:
        started = time.perf_counter()
        real_base.search(question)
        times.append(time.perf_counter() - started)
    assert sorted(times)[len(times) // 2] < 0.02


def test_the_index_is_built_in_seconds(real_articles: list[Article]) -> None:
    started = time.process_time()
    SearchIndex.build(real_articles)
    assert time.process_time() - started < 30
