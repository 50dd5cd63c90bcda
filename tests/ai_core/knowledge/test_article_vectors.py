"""Vectors of articles are computed once, piece by piece, survive a kill, and are only used when they are whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ai_core.knowledge import article_vectors
from ai_core.knowledge.article import Article
from ai_core.knowledge.article_vectors import ArticleVectors, Vectors, build, rows_done
from ai_core.knowledge.base import KnowledgeBase
from ai_core.knowledge.errors import UpdateRunning
from ai_core.knowledge.fusion import fused
from ai_core.knowledge.lock import update_lock


class LetterCounts:
    """How often each letter stands in a text: no meaning, but the same text has the same vector."""

    key = "letters"

    def __init__(self, fails_after: int | None = None) -> None:
        self.asked: list[str] = []
        self._fails_after = fails_after

    def passages(self, texts: Sequence[str]) -> Vectors:
        if self._fails_after is not None and len(self.asked) >= self._fails_after:
            raise RuntimeError("killed")
        self.asked += texts
        return np.stack([self.query(text) for text in texts])

    def query(self, text: str) -> Vectors:
        counts = np.array([text.lower().count(letter) + 1e-3 for letter in "abcdefghijklmnopqrstuvwxyz"])
        return np.asarray(counts / np.linalg.norm(counts), dtype=np.float32)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(article_vectors, "AT_ONCE", 2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "1.2.3.vectors" / "letters.f32"


def test_each_article_is_nearest_to_its_own_text(small_articles: list[Article], path: Path) -> None:
    semantic = LetterCounts()
    assert build(path, small_articles, semantic)
    vectors = ArticleVectors.load(path, len(small_articles))
    assert vectors is not None
    for position, told in enumerate(semantic.asked):
        assert vectors.nearest(semantic.query(told), 3)[0] == position
    assert len(vectors.nearest(semantic.query("a"), 100)) == len(small_articles)


def test_an_article_is_told_with_its_section(small_articles: list[Article], path: Path) -> None:
    semantic = LetterCounts()
    build(path, small_articles[:1], semantic)
    assert semantic.asked == [
        "Partie législative > Le contrat de travail > Période d'essai\nLa période d'essai dure au plus onze jours."
    ]


def test_a_stopped_build_goes_on_where_it_was(small_articles: list[Article], path: Path) -> None:
    first = LetterCounts(fails_after=6)
    with pytest.raises(RuntimeError):
        build(path, small_articles, first)
    assert ArticleVectors.load(path, len(small_articles)) is None
    assert rows_done(path) == 6
    second = LetterCounts()
    assert build(path, small_articles, second)
    assert len(second.asked) == len(small_articles) - 6
    assert rows_done(path) == len(small_articles)
    whole = path.read_bytes()
    path.unlink()
    build(path, small_articles, LetterCounts())
    assert path.read_bytes() == whole


@pytest.mark.parametrize("cut", [1, 3, 63, 64, 65, 64 + 26 * 4 * 3 + 7])
def test_a_row_that_was_cut_off_is_computed_again(small_articles: list[Article], path: Path, cut: int) -> None:
    build(path, small_articles, LetterCounts())
    whole = path.read_bytes()
    path.unlink()
    path.with_suffix(".part").write_bytes(whole[:cut])
    assert build(path, small_articles, LetterCounts())
    assert path.read_bytes() == whole


def test_a_build_ends_when_it_is_not_wanted(small_articles: list[Article], path: Path) -> None:
    semantic = LetterCounts()
    assert not build(path, small_articles, semantic, lambda: len(semantic.asked) < 4)
    assert rows_done(path) == 4


def test_whole_vectors_are_not_computed_again(small_articles: list[Article], path: Path) -> None:
    build(path, small_articles, LetterCounts())
    assert build(path, small_articles, LetterCounts(fails_after=0))


def test_two_do_not_write_into_one_file(small_articles: list[Article], path: Path) -> None:
    path.parent.mkdir()
    with update_lock(path.parent), pytest.raises(UpdateRunning):
        build(path, small_articles, LetterCounts())


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"\0" * 4096])
def test_a_damaged_file_is_no_vectors(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    assert ArticleVectors.load(path, 13) is None


def test_vectors_of_other_articles_are_no_vectors(small_articles: list[Article], path: Path) -> None:
    build(path, small_articles, LetterCounts())
    assert ArticleVectors.load(path, len(small_articles) + 1) is None


def test_a_question_of_another_dimension_is_near_to_nothing(small_articles: list[Article], path: Path) -> None:
    build(path, small_articles, LetterCounts())
    vectors = ArticleVectors.load(path, len(small_articles))
    assert vectors is not None
    assert vectors.nearest(np.ones(3, dtype=np.float32), 5) == []


def test_what_both_rankings_have_comes_before_what_one_has() -> None:
    assert [document for document, _ in fused([1, 2, 3], [4, 2])] == [2, 1, 4, 3]
    assert [document for document, _ in fused([7, 8], [])] == [7, 8]


def test_near_articles_rise_and_relevance_stays_that_of_the_words(small_base: KnowledgeBase) -> None:
    position = next(at for at, article in enumerate(small_base.articles) if article.number == "L9102-1")
    question = "préavis de démission"
    alone = small_base.search(question)
    near = small_base.with_nearest(lambda *_: [position])
    both = near.search(question)
    places = [[hit.article.number for hit in hits].index("L9102-1") for hits in (alone, both)]
    assert places[1] < places[0]
    assert both[0].score == pytest.approx(alone[0].score)
    assert near.relevant("recette de la tarte aux pommes") == []


def test_a_number_asked_for_stays_first_and_needs_no_vector(small_base: KnowledgeBase) -> None:
    def never(query: str, limit: int) -> Sequence[int]:
        raise AssertionError(query)

    assert small_base.with_nearest(never).search("L9102-1")[0].article.number == "L9102-1"


def test_what_is_not_in_force_is_not_lifted(small_base: KnowledgeBase) -> None:
    repealed = next(at for at, article in enumerate(small_base.articles) if article.number == "L9102-9")
    hits = small_base.with_nearest(lambda *_: [repealed]).search("licenciement notifié par lettre")
    assert hits[0].article.number == "L9102-1"
