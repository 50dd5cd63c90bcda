"""Numbers first, then words; everyday words find the Code's; nothing relevant is nothing."""

from __future__ import annotations

import pytest

from ai_core.knowledge.base import KnowledgeBase


def numbers(base: KnowledgeBase, query: str, limit: int = 10) -> list[str]:
    return [hit.article.number for hit in base.search(query, limit)]


@pytest.mark.parametrize("query", ["L9102-2", "art. L. 9102-2 ?", "Que dit l'article l 9102-2 ?", "9102-2"])
def test_a_named_article_comes_first(small_base: KnowledgeBase, query: str) -> None:
    first = small_base.search(query)[0]
    assert (first.article.number, first.score) == ("L9102-2", 1.0)


def test_all_named_articles_come_before_what_the_words_find(small_base: KnowledgeBase) -> None:
    found = numbers(small_base, "préavis de démission : L9101-3 et R. 9104-1")
    assert found[:3] == ["L9101-3", "R9104-1", "L9102-2"]


def test_a_range_names_its_ends_and_what_lies_between(small_base: KnowledgeBase) -> None:
    assert numbers(small_base, "L9101-1 à L9101-3")[:3] == ["L9101-1", "L9101-3", "L9101-2"]


def test_the_star_may_be_left_out(small_base: KnowledgeBase) -> None:
    assert numbers(small_base, "R9103-2")[0] == "R*9103-2"
    found = small_base.article("r. 9103-2")
    assert found is not None
    assert found.number == "R*9103-2"


def test_annexes_of_one_name_are_all_found(small_base: KnowledgeBase) -> None:
    assert numbers(small_base, "annexe I")[:2] == ["Annexe I", "Annexe I (R9104)"]
    assert numbers(small_base, "Annexe I (R9104)")[0] == "Annexe I (R9104)"


def test_a_number_that_does_not_exist_finds_nothing(small_base: KnowledgeBase) -> None:
    assert small_base.article("L9999-1") is None
    assert small_base.search("L9999-1") == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Quelle est la durée de la période d'essai ?", "L9101-1"),
        ("QUEL EST LE PREAVIS DE DEMISSION", "L9102-2"),
        ("mon patron veut me virer", "L9102-1"),
        ("vacances", "L9103-1"),
        ("bruits de la machine", "R9104-1"),
    ],
)
def test_a_question_finds_its_article(small_base: KnowledgeBase, query: str, expected: str) -> None:
    assert numbers(small_base, query)[0] == expected


def test_what_is_repealed_comes_last(small_base: KnowledgeBase) -> None:
    found = small_base.search("licenciement verbal")
    assert found[0].article.number == "L9102-1"
    assert found[-1].article.number == "L9102-9"
    assert found[-1].article.state == "repealed"


def test_the_law_comes_before_the_decree(small_base: KnowledgeBase) -> None:
    found = numbers(small_base, "congés payés")
    assert found[0] == "L9103-1"


def test_scores_fall_from_at_most_one(small_base: KnowledgeBase) -> None:
    scores = [hit.score for hit in small_base.search("L9101-1 licenciement et congés payés")]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)


@pytest.mark.parametrize("query", ["", " ", "?", "xyzzy", "de la", "\x00", "🍎", "ا", "recette de la tarte aux pommes"])
def test_nothing_relevant_is_nothing(small_base: KnowledgeBase, query: str) -> None:
    assert small_base.relevant(query) == []


def test_the_limit_holds(small_base: KnowledgeBase) -> None:
    assert len(small_base.search("congés payés licenciement", limit=2)) == 2
    assert len(small_base.search("L9101-1 L9101-2 L9101-3", limit=2)) == 2
    assert small_base.search("congés", limit=0) == []


def test_a_very_long_question_is_answered(small_base: KnowledgeBase) -> None:
    assert numbers(small_base, "préavis de démission " * 2000)[0] == "L9102-2"


def test_the_excerpt_is_the_sentence_that_answers(small_base: KnowledgeBase) -> None:
    assert small_base.search("lettre signée")[0].excerpt == "La lettre est signée."
