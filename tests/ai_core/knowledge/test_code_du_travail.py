"""The whole Code du travail: every article is found by its number, and known questions find their articles."""

from __future__ import annotations

import re
import time

import pytest

from ai_core.knowledge.article import Article
from ai_core.knowledge.base import KnowledgeBase
from ai_core.knowledge.index import SearchIndex
from ai_core.knowledge.synonyms import all_synonyms
from ai_core.knowledge.words import stems


def test_every_article_is_found_first_by_its_number(real_base: KnowledgeBase, real_articles: list[Article]) -> None:
    assert len(real_articles) > 11_000
    for article in real_articles:
        assert real_base.search(article.number, limit=1)[0].article is article


def test_every_article_is_found_in_another_spelling(real_base: KnowledgeBase, real_articles: list[Article]) -> None:
    for article in real_articles:
        if re.match(r"[LRDA]\*?\d", article.number):
            assert real_base.article(f"art. {article.number[0]}. {article.number[1:]}") is article


def test_every_synonym_means_words_that_the_code_has(real_articles: list[Article]) -> None:
    used = {stem for article in real_articles for stem in stems(" ".join((*article.section_path, article.text)))}
    for synonym in all_synonyms():
        for meaning in synonym.meanings:
            assert used.issuperset(meaning), (synonym.words, meaning)


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


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("preavi demision cdi", "L1234-1"),
        ("periode dessai renouvelable cb de temps", "L1221-21"),
        ("rupture conventionel comment sa marche", "L1237-11"),
        ("jsuis enceinte mon employeur peut me licencier ?", "L1225-4"),
        ("on ma pas doner ma fiche de pai", "R3243-4"),
        ("mon patron veu pas me payé mes heure sup", "L3121-30"),
        ("licensiement abusif que faire", "L1232-1"),
        ("harcelement par mon chef", "L1152-1"),
        ("acident du travail licenciement", "L1226-12"),
        ("inaptitude reclassement", "L1226-12"),
        ("conger paternité durée", "L1225-35"),
        ("conges deces parent", "L3142-4"),
        ("mise a pied conservatoire", "L1332-3"),
        ("entretien prealable delai convocation", "L1232-2"),
        ("solde de tout compte delai de contestation", "L1234-20"),
        ("teletravail refus employeur", "L1222-9"),
        ("heure de delegation cse", "L2315-7"),
        ("aprenti rupture contrat aprentissage", "L6222-18"),
        ("pause dejeuner 20 min obligatoire ?", "L3121-16"),
        ("travail de nuit majoration", "L3122-15"),
    ],
)
def test_everyday_questions_with_their_mistakes_find_what_they_mean(
    real_base: KnowledgeBase, question: str, expected: str
) -> None:
    assert expected in [hit.article.number for hit in real_base.relevant(question, limit=4)]


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
