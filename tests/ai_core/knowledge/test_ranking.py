"""What lifts and lowers an article whatever its words: references, its place, a title that says more than was asked."""

from __future__ import annotations

from datetime import date

import numpy as np

from ai_core.knowledge.article import IN_FORCE, Article
from ai_core.knowledge.cross_references import times_cited
from ai_core.knowledge.index import SearchIndex
from ai_core.knowledge.search import Searcher
from ai_core.knowledge.title_excess import TitleExcess

PART = "Partie législative"
CHAPTER = "Chapitre Ier : Contrat"


def article(number: str, text: str, *path: str) -> Article:
    titles = (PART, CHAPTER, *path)
    return Article(number, "LEGIARTI000000000001", titles[-1], titles, text, "", IN_FORCE, date(2008, 5, 1), None)


def test_an_article_is_cited_once_by_each_other_that_names_it() -> None:
    articles = [
        article("L9101-1", "Le contrat est écrit."),
        article("L9101-2", "Les articles L. 9101-1 et L. 9101-3 s'appliquent, L. 9101-1 en premier."),
        article("L9101-3", "Voir les articles L. 9101-1, L. 9101-3 et L. 9999-1."),
    ]
    assert times_cited(articles).tolist() == [2, 0, 1]


def first(articles: list[Article], question: str) -> str:
    return Searcher(articles, SearchIndex.build(articles)).search(question, 1)[0].article.number


def test_of_two_alike_the_one_that_others_refer_to_comes_first() -> None:
    same = "La prime est versée au salarié."
    articles = [article("L9101-1", same, "Section 1 : Prime"), article("L9102-1", same, "Section 2 : Prime")]
    articles += [article(f"L9103-{n}", "Les conditions sont celles de l'article L. 9102-1.") for n in range(1, 9)]
    assert first(articles, "prime du salarié") == "L9102-1"


def test_of_two_alike_the_one_whose_title_adds_nothing_comes_first() -> None:
    same = "La clause est écrite."
    articles = [
        article("L9101-1", same, "Section 1 : Clause des agents artistiques"),
        article("L9102-1", same, "Section 2 : Clause"),
    ]
    assert first(articles, "clause écrite") == "L9102-1"


def test_the_excess_is_the_information_of_the_words_not_asked_for() -> None:
    articles = [article("L9101-1", "Texte.", "Section 1 : Clause des agents"), article("L9102-1", "Texte.")]
    excess = TitleExcess(articles, lambda _: 2.0)
    assert np.allclose(excess.of(["claus"]), [2.0, 2.0])
    assert np.allclose(excess.of(["claus", "agent", "contrat"]), [0.0, 0.0])


def test_the_rule_comes_before_its_details() -> None:
    same = "Le congé dure dix jours."
    articles = [article(f"L9101-{n}", same, f"Section {n} : Congé") for n in range(1, 6)]
    assert first(list(articles), "durée du congé") == "L9101-1"
