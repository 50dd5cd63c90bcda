from __future__ import annotations

import numpy as np

from ai_core.knowledge.article import IN_FORCE, Article
from ai_core.knowledge.question import Question
from ai_core.knowledge.title_closeness import TitleCloseness


def article(number: str, path: tuple[str, ...]) -> Article:
    return Article(number, "LEGIARTI0", path[-1], path, "", "", IN_FORCE, None, None)


def closeness(question: str, *articles: Article) -> list[float]:
    parsed = Question.parse(question)
    return [round(float(value), 3) for value in TitleCloseness(articles, lambda _: 1.0).of(parsed.words, parsed.terms)]


def test_a_title_that_says_what_the_question_says_is_closest() -> None:
    exact = article("L1", path=("Partie", "Lampes de bureau"))
    longer = article("L2", path=("Partie", "Lampes de bureau et fauteuils roulants"))
    other = article("L3", path=("Partie", "Fenêtres"))
    same, part, nothing = closeness("les lampes de bureau", exact, longer, other)
    assert same == 1.0
    assert 0.5 < part < same
    assert nothing == 0.0


def test_the_closest_of_the_titles_above_counts_but_not_the_part_of_the_code() -> None:
    deep = article("L1", path=("Lampes", "Lampes de bureau", "Dispositions"))
    top = article("L2", path=("Lampes de bureau", "Dispositions"))
    assert closeness("lampes de bureau", deep, top) == [1.0, 0.0]


def test_an_empty_question_is_close_to_nothing() -> None:
    assert closeness("", article("L1", path=("Partie", "Lampes"))) == [0.0]
    assert TitleCloseness((), lambda _: 1.0).of({}, {}).tolist() == []
    assert np.all(np.isfinite(TitleCloseness([article("L1", path=("Partie",))], lambda _: 1.0).of({}, {})))
